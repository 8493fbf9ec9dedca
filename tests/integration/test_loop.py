"""Once round the circle: what a model misses is corrected, accepted, released, learned, shadowed and promoted."""

from dataclasses import replace
from pathlib import Path

import pytest

from load_tests.loop import FIRST, NEXT, Scale, run_circle
from services.context import Context
from services.settings import PromotionSettings


@pytest.mark.timeout(1500)
@pytest.mark.filterwarnings("ignore:.*LeafSpec:FutureWarning")  # of torch itself
def test_a_version_that_learned_from_corrections_is_better_and_serves(context: Context, tmp_path: Path) -> None:
    scale = Scale()
    # The experts' masks decide: the new version is at least as good as the live one, or it is not promoted.
    policy = PromotionSettings(
        studies=scale.shadowed,
        flagged=1,
        flags_lost=0,
        dice=0,
        time_ratio=100,
        experts=scale.shadowed,
        experts_margin=0,
    )
    router = context.settings.router.model_copy(update={"low_disk_mb": 0})
    settings = context.settings.model_copy(update={"promotion": policy, "router": router})
    circle = run_circle(replace(context, settings=settings), tmp_path, scale)
    assert circle.serving == NEXT
    assert circle.after > circle.before + 0.2
    # What it knew: lost in part by a version that saw new cases alone, kept by one that saw old ones among them.
    assert circle.known_before > 0.7
    assert circle.known_plain < circle.known_after
    assert circle.known_after > circle.known_before - 0.1
    assert circle.replayed == circle.learned
    assert circle.answered < circle.after
    assert circle.evidence.experts is not None
    assert circle.evidence.experts.new_dice > circle.evidence.experts.live_dice
    assert 0 < circle.learned <= scale.corrected
    with context.pool.connection() as connection:
        [row] = connection.execute("SELECT kind, source_version, target_version FROM promotion").fetchall()
    assert row == {"kind": "promotion", "source_version": FIRST, "target_version": NEXT}
