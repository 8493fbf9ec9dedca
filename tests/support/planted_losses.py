"""One real failure trial, then a loss of each kind planted in what it had accepted; prints what the audits say.

unshare --net --mount python planted_losses.py
"""

import json
import subprocess
import tempfile
from pathlib import Path
from typing import Any

import httpx
import psycopg

from load_tests.chaos import KINDS, MATRIX
from load_tests.scanners import Scanner, Sent
from load_tests.site import HTTP, Site, run_site
from load_tests.studies import write_templates
from load_tests.trials import Flow, attempt, audit, trials


def plant(site: Site, ruined: Sent, unended: Sent) -> dict[str, list[str]]:
    """Lose something of each kind, and say what must be found."""
    study = ruined.study.study_uid
    with psycopg.connect(site.database_url, autocommit=True) as connection:
        rows = connection.execute(
            "SELECT sop_instance_uid, digest FROM instance WHERE study_uid = %s ORDER BY id LIMIT 2", [study]
        ).fetchall()
        results = connection.execute(
            """SELECT r.sop_instance_uid FROM result r JOIN analysis a ON a.id = r.analysis_id
               WHERE a.study_uid = %s""",
            [study],
        ).fetchall()
        (forgotten, _), (without_bytes, digest) = rows
        connection.execute("DELETE FROM instance WHERE sop_instance_uid = %s", [forgotten])
        (site.store / digest[:2] / digest).unlink()
        connection.execute(
            """INSERT INTO event (entity, entity_id, study_uid, kind, detail)
               SELECT entity, entity_id, study_uid, kind, detail FROM event
               WHERE entity = 'analysis' AND detail ->> 'to' = 'analysed' AND study_uid = %s""",
            [study],
        )
        connection.execute("SET session_replication_role = replica")  # no trigger mends or refuses
        connection.execute("UPDATE study SET state = 'failed' WHERE study_uid = %s", [study])
        connection.execute("UPDATE study SET state = 'receiving' WHERE study_uid = %s", [unended.study.study_uid])
    at_orthanc = f"http://{site.cells.address('orthanc')}:{HTTP}"
    query = {"Level": "Study", "Query": {"StudyInstanceUID": study}}
    for found in httpx.post(f"{at_orthanc}/tools/find", json=query, timeout=30).raise_for_status().json():
        httpx.delete(f"{at_orthanc}/studies/{found}", timeout=30).raise_for_status()
    return {
        "lost": [forgotten],
        "without_bytes": [without_bytes],
        "without_end": [unended.study.study_uid],
        "otherwise": [study],
        "undelivered": sorted(uid for (uid,) in results),
        "twice": [study],
    }


def plant_without_result(site: Site, sent: Sent) -> dict[str, list[str]]:
    """A study that counts as analysed, and whose answer is gone."""
    with psycopg.connect(site.database_url, autocommit=True) as connection:
        connection.execute("SET session_replication_role = replica")
        connection.execute("UPDATE analysis SET state = 'superseded' WHERE study_uid = %s", [sent.study.study_uid])
    return {"without_result": [sent.study.study_uid]}


def main() -> None:
    subprocess.run(["/usr/sbin/ip", "link", "set", "lo", "up"], check=True)
    with tempfile.TemporaryDirectory(prefix="nightjar-chaos-", ignore_cleanup_errors=True) as name:
        scratch = Path(name)
        scratch.chmod(0o755)  # Postgres does not run as root
        print(json.dumps(tried(scratch)))


def tried(scratch: Path) -> dict[str, Any]:
    """What the trial and the two audits after it said, and what they had to say."""
    templates = write_templates(scratch / "phantoms", KINDS, matrix=MATRIX)
    trial = next(trial for trial in trials() if trial.name == "kill-worker")
    with run_site(scratch / "site") as site, Scanner("PROBE", site.peer, 1) as probe:
        flow = Flow(site, list(templates.values()))
        outcome, sent = attempt(trial, site, flow, probe, period_s=60.0)
        first = {"trial": outcome.custody.wrong, "studies": outcome.custody.studies, "recovered": outcome.recovered_s}
        planted = plant_without_result(site, sent[1])
        found = [audit(site, sent).wrong]
        planted |= plant(site, sent[0], sent[1])
        found.append(audit(site, sent).wrong)
    return {**first, "planted": planted, "found": found}


if __name__ == "__main__":
    main()
