"""How soon a flag is on an open worklist of 500 rows, from its commit to the frame that shows it."""

import time
from pathlib import Path
from statistics import median, quantiles

from load_tests.pages import chromium, ledger, signed_in
from load_tests.record import Figure, Measured
from services.context import Context
from services.ledger.images import key_of

VISIBLE_MS = 300.0
"""What the night radiologist was promised."""

# Told by the page's own clock, which is this machine's, at the end of the frame in which the row changed.
_WATCH = """key => {
  window.flagged = new Promise((tell) => {
    const look = () => {
      if (!document.querySelector(`tr.u1[data-key="${key}"]`)) return false;
      observer.disconnect();
      requestAnimationFrame(() => setTimeout(() => tell(Date.now()), 0));
      return true;
    };
    const observer = new MutationObserver(look);
    const main = document.getElementById("main");
    if (!look()) observer.observe(main, { subtree: true, childList: true, attributes: true });
  });
}"""


def measure(scratch: Path, *, quick: bool) -> Measured:
    """Flag one study after another while the page is open; each joins those already flagged at the top."""
    rows, rounds = (20, 3) if quick else (500, 21)
    with ledger(scratch) as context, chromium() as browser:
        _fill(context, rows)
        taken = []
        with signed_in(context, browser) as page:
            page.wait_for_selector(f"tr[data-key]:nth-child({rows})")
            for number in range(rounds + 1):
                uid = _uid(number * (rows // (rounds + 1)))
                page.evaluate(_WATCH, key_of(uid))
                time.sleep(0.5)  # a change on its own, not one of a burst
                committed = _flag(context, uid)
                taken.append(float(page.evaluate("window.flagged")) - committed)
        version = browser.version
    taken = taken[1:]  # the first one warms up
    return Measured(
        f"{rows} rows, headless Chromium {version} at 1280 x 720 with --disable-gpu, web process and Postgres on the "
        f"same machine. {rounds} flags, one at a time.",
        (
            Figure("commit of a flag to the frame that shows it: median", median(taken), "ms"),
            Figure("95th percentile", quantiles(taken, n=20)[-1] if len(taken) > 2 else max(taken), "ms"),
            Figure(f"median to the {VISIBLE_MS:g} ms promised", median(taken) / VISIBLE_MS, "x"),
        ),
    )


def _uid(number: int) -> str:
    return f"1.2.826.0.1.3680043.8.498.{number + 1}"


def _fill(context: Context, rows: int) -> None:
    with context.pool.connection() as connection:
        for number in range(rows):
            connection.execute(
                """INSERT INTO study (study_uid, patient_id, patient_name, accession_number, description,
                       first_instance_at)
                   VALUES (%s, %s, %s, %s, 'CT Head', clock_timestamp() - make_interval(mins => %s))""",
                [_uid(number), f"B{number}", f"BENCH^{number}", f"A{number}", number % 50],
            )


def _flag(context: Context, study_uid: str) -> float:
    """Commit a flag; milliseconds since 1970 when the commit was asked for."""
    with context.pool.connection() as connection:
        row = connection.execute(
            """INSERT INTO analysis (study_uid, model, model_version, weights_digest, inputs, input_digest)
               VALUES (%s, 'bench', '1', 'bench', '{}', %s) RETURNING id""",
            [study_uid, study_uid],
        ).fetchone()
        identifier = row["id"] if row is not None else None
        connection.execute(
            """INSERT INTO finding (analysis_id, label, probability, volume_ml, urgency, key_slice)
               VALUES (%s, 'IPH', 0.9, 20, 1, 0)""",
            [identifier],
        )
        for state in ("running", "analysed"):
            connection.execute("UPDATE analysis SET state = %s WHERE id = %s", [state, identifier])
        connection.execute("UPDATE study SET urgency = 1, state = 'analysing' WHERE study_uid = %s", [study_uid])
        return time.time() * 1000
