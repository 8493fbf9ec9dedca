"""The editor's drawing and counting, against NumPy and SciPy, on the same arrays."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
from playwright.sync_api import Page
from scipy import ndimage
from support.ct import tilted_ct
from support.triage import ServedPages

from models.dicom import read_series
from models.volume import Volume

Run = Callable[..., Any]
NAMES = ("labels", "shapes", "regions", "between", "figures", "hints", "tools")


@pytest.fixture(scope="module")
def volume() -> Volume:
    return read_series(tilted_ct(shape=(8, 40, 48), spacing_mm=(3.2, 2.4)))


@pytest.fixture
def run(chromium: Any, editor_pages: ServedPages, volume: Volume) -> Any:
    """Runs a script with every module, the phantom's stack and an empty mask of it in scope."""
    page: Page = chromium.new_page()
    page.goto(f"{editor_pages.url}/sign-in")
    geometry = {
        "slices": 8,
        "rows": 40,
        "columns": 48,
        "positions_mm": volume.positions_mm.tolist(),
        "row_direction": volume.row_direction,
        "column_direction": volume.column_direction,
        "spacing_mm": volume.spacing_mm,
    }
    imports = "".join(f'Object.assign(all, await import("/static/review/editor/{name}.js"));' for name in NAMES)

    def script(body: str, **values: Any) -> Any:
        return page.evaluate(
            f"""async ({{ geometry, given }}) => {{
                const all = {{}};
                {imports}
                const {{ Stack }} = await import("/static/viewer/geometry.js");
                const stack = new Stack(geometry);
                const mask = new all.Labels(stack);
                const plane = {{ width: 48, height: 40, stepX: stack.columnStep, stepY: stack.rowStep }};
                {body}
            }}""",
            {"geometry": geometry, "given": values},
        )

    yield script
    page.close()


def array(values: Any) -> Any:
    return np.array(values, np.uint8).reshape(8, 40, 48)


def test_a_disc_and_a_sphere_are_round_in_millimetres(run: Run, volume: Volume) -> None:
    found = run(
        """mask.begin();
           for (const [k, middle, within] of all.sphere(stack, 3, [20.3, 18.6], 11)) {
             all.disc(middle, within, plane, (x, y) => mask.set(k * mask.size + y * 48 + x, 1));
           }
           mask.end();
           return Array.from(mask.voxels);"""
    )
    rows, columns = np.mgrid[:40, :48]
    right, down = np.array(volume.row_direction), np.array(volume.column_direction)
    places = (
        volume.positions_mm[:, None, None]
        + columns[None, ..., None] * volume.spacing_mm[1] * right
        + rows[None, ..., None] * volume.spacing_mm[0] * down
    )
    middle = volume.positions_mm[3] + 20.3 * volume.spacing_mm[1] * right + 18.6 * volume.spacing_mm[0] * down
    assert np.array_equal(array(found) == 1, np.linalg.norm(places - middle, axis=-1) <= 11)


def test_a_polygon_covers_the_pixels_whose_centres_it_holds(run: Run) -> None:
    points = [[5.2, 6.1], [30.4, 3.3], [40.1, 30.2], [22.5, 15.5], [8.3, 33.7]]
    found = run(
        """mask.change(() => all.polygon(given.points, plane, (x, y) => mask.set(y * 48 + x, 1)));
           return Array.from(mask.slice(0));""",
        points=points,
    )
    y, x = np.mgrid[:40, :48]
    inside = np.zeros((40, 48), bool)
    for (x0, y0), (x1, y1) in zip(points, points[1:] + points[:1], strict=True):
        crosses = (y0 <= y) != (y1 <= y)
        inside ^= crosses & (x >= x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    assert np.array_equal(np.array(found).reshape(40, 48) == 1, inside)


def test_connected_voxels_are_those_scipy_finds(run: Run) -> None:
    random = np.random.default_rng(5)
    values = (random.random((8, 40, 48)) < 0.4).astype(np.uint8)
    seed = (3, 20, 20)
    values[seed] = 1
    index = int(np.ravel_multi_index(seed, values.shape))
    for is_3d in (False, True):
        found = run(
            "return all.connected(mask, given.index, (i) => given.values[i] === 1, { is3d: given.is3d });",
            index=index,
            values=values.ravel().tolist(),
            is3d=is_3d,
        )
        structure = ndimage.generate_binary_structure(3, 1)
        if not is_3d:
            structure[[0, 2]] = False
        components, _ = ndimage.label(values, structure)
        assert sorted(found) == np.flatnonzero(components.ravel() == components[seed]).tolist()


def test_distances_are_scipys(run: Run) -> None:
    marks = np.zeros((40, 48), np.uint8)
    marks[10:18, 7:30] = 1
    marks[25:31, 20:24] = 1
    found = run("return Array.from(all.signedDistance(given.marks, 1, plane));", marks=marks.ravel().tolist())
    spacing = (3.2, 2.4)
    expected = ndimage.distance_transform_edt(marks == 0, spacing) - ndimage.distance_transform_edt(marks, spacing)
    assert np.allclose(np.array(found).reshape(40, 48), expected, atol=1e-3)


def test_filling_between_slices_goes_from_one_shape_to_the_other(run: Run) -> None:
    found = array(
        run(
            """const box = (k, [left, top, right, bottom]) => {
                 for (let y = top; y < bottom; y += 1) {
                   for (let x = left; x < right; x += 1) mask.set(k * mask.size + y * 48 + x, 1);
                 }
               };
               mask.change(() => { box(1, [10, 10, 34, 30]); box(5, [18, 16, 26, 24]); });
               mask.change(() => all.fillBetween(mask, stack, 1, (index) => mask.set(index, 1)));
               const filled = Array.from(mask.voxels);
               mask.undo();
               return [...filled, mask.voxels.reduce((n, v) => n + v, 0)];"""
        )[:-1]
    )
    areas = found.sum(axis=(1, 2))
    assert areas[0] == areas[6] == areas[7] == 0
    assert areas[1] > areas[2] > areas[3] > areas[4] > areas[5] > 0
    assert all((found[k + 1] <= found[k]).all() for k in range(1, 5))


def test_undo_redo_and_locks(run: Run) -> None:
    said = run(
        """const count = (label) => mask.voxels.reduce((n, v) => n + (v === label), 0);
           mask.change(() => { for (let i = 0; i < 10; i += 1) mask.set(i, 1); });
           mask.locked.add(1);
           mask.change(() => { for (let i = 5; i < 15; i += 1) mask.set(i, 2); });
           const locked = [count(1), count(2)];
           mask.undo(); const undone = [count(1), count(2)];
           mask.undo(); const empty = count(1);
           mask.redo(); mask.redo();
           return { locked, undone, empty, redone: [count(1), count(2)], nothing: mask.redo() };"""
    )
    assert said == {"locked": [10, 5], "undone": [10, 0], "empty": 0, "redone": [10, 5], "nothing": None}


def test_figures_are_the_servers(run: Run, volume: Volume) -> None:
    random = np.random.default_rng(2)
    own = random.integers(0, 3, (8, 40, 48)).astype(np.uint8)
    theirs = np.where(random.random(own.shape) < 0.8, own, 0).astype(np.uint8)
    theirs[2] = own[2]
    found = run(
        """mask.voxels.set(given.own);
           const figures = new all.Figures(mask, Uint8Array.from(given.theirs), stack);
           return { one: figures.of(1), changed: figures.changedSlices };""",
        own=own.ravel().tolist(),
        theirs=theirs.ravel().tolist(),
    )
    assert found["one"]["ml"] == pytest.approx(volume.measure_ml(own == 1))
    assert found["one"]["before"] == pytest.approx(volume.measure_ml(theirs == 1))
    both = int(((own == 1) & (theirs == 1)).sum())
    assert found["one"]["dice"] == pytest.approx(2 * both / int((own == 1).sum() + (theirs == 1).sum()))
    assert found["changed"] == [0, 1, 3, 4, 5, 6, 7]


def test_hints_say_what_to_look_at_again(run: Run) -> None:
    hints = run(
        """mask.change(() => {
             for (const k of [1, 4]) for (let i = 0; i < 30; i += 1) mask.set(k * mask.size + 480 + i, 1);
             mask.set(6 * mask.size + 7, 1);
           });
           const say = ({ count, slice }) => `${count} above, slice ${slice}`;
           const above = { test: (i) => i % mask.size < 510, say };
           return all.hintsOf(mask, { value: 1, name: "core" }, { smallest: 5, above }).map((hint) => hint.text);"""
    )
    assert hints == [
        "core: 1 voxel by itself on slice 7",
        "core: slices 3 to 4 between two marked ones are empty",
        "core: slice 6 between two marked ones is empty",
        "61 above, slice 2",
    ]


def test_snapping_keeps_what_is_low_and_takes_in_what_touches_it(run: Run) -> None:
    adc = np.full((8, 40, 48), 900)
    adc[3, 10:20, 10:20] = 500
    found = array(
        run(
            """const desk = { mask, stack, slice: 3, trail: [] };
               const tools = new all.Tools(desk);
               tools.label = 1;
               mask.change(() => {
                 for (let i = 0; i < 96; i += 1) mask.set(3 * mask.size + (11 + (i >> 3)) * 48 + 11 + (i & 7), 1);
               });
               tools.snap(given.adc, { slope: 1, intercept: 0 }, 620);
               return Array.from(mask.voxels);""",
            adc=adc.ravel().tolist(),
        )
    )
    assert np.array_equal(found == 1, adc == 500)
