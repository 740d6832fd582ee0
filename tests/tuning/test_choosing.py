"""What is recommended, of whatever was measured."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st
from support.tunings import measured, row

from app.tuning.choosing import LEAST_GAIN, Limits, choose, may_serve, paying_sizes, server_per_s
from app.tuning.configurations import BATCH_SIZES, PRECISIONS, RUNTIMES, configurations, thread_counts
from app.tuning.measured import Measured, Row

LIMITS = Limits(deadline_s=2.0, max_requests=256, max_queue_bytes=256 * 2**20)
SECONDS = st.floats(1e-4, 5.0)


@st.composite
def rows(draw: st.DrawFn) -> Row:
    """Any configuration, with any times, holding or not."""
    return row(
        draw(st.sampled_from(RUNTIMES)),
        draw(st.sampled_from(PRECISIONS)),
        draw(st.sampled_from((1, 2, 4))),
        seconds={size: draw(SECONDS) for size in BATCH_SIZES},
        cpu_per_wall=draw(st.floats(0.1, 4.0)),
        difference=draw(st.sampled_from((None, 1e-6))),
        refusal=draw(st.sampled_from((None, None, "the golden images do not hold"))),
    )


@st.composite
def measurements(draw: st.DrawFn) -> Measured:
    """One to six configurations, each once."""
    some = draw(st.lists(rows(), min_size=1, max_size=6, unique_by=lambda one: one.configuration))
    return measured(
        *some,
        cores=draw(st.integers(1, 16)),
        picture_s=draw(st.floats(1e-4, 1.0)),
        is_quantised=draw(st.booleans()),
    )


@given(measurements(), st.floats(0.05, 10.0), st.integers(1, 1000))
def test_whatever_was_measured(given_: Measured, deadline_s: float, max_requests: int) -> None:
    """Only what may serve is recommended, with sizes that pay and threads that the machine has."""
    chosen = choose(given_, Limits(deadline_s, max_requests, 256 * 2**20))

    serving = {one.configuration: one for one in given_.rows if may_serve(one)}
    assert (chosen is None) == (not serving)
    if chosen is None:
        return
    its = serving[chosen.configuration]
    assert its.refusal is None
    sizes = chosen.batch_sizes
    assert sizes[0] == 1
    for smaller, larger in pairwise(sizes):
        assert smaller < larger
        assert its.per_s(larger) >= LEAST_GAIN * its.per_s(smaller)
    assert all(2 * its.timings[size].median_s <= deadline_s for size in sizes[1:])
    assert chosen.batch_size in sizes
    assert 1 <= chosen.image_threads <= given_.here.cores
    assert max(sizes) <= chosen.max_queue_entries <= max(max_requests, *sizes)


@given(
    st.dictionaries(st.sampled_from(BATCH_SIZES), st.floats(1.0, 1000.0)).map(lambda some: {1: 10.0} | some)
)
def test_no_size_that_was_left_away_pays(per_s: dict[int, float]) -> None:
    """Over the largest smaller one that was kept."""
    kept = paying_sizes(per_s)

    assert kept[0] == 1
    for size in set(per_s) - set(kept):
        best = max(per_s[smaller] for smaller in kept if smaller < size)
        assert per_s[size] < LEAST_GAIN * best


def test_small_gains_add_up_to_one_that_pays() -> None:
    """2 gains four percent and is left away; 4 gains eight over 1."""
    assert paying_sizes({1: 100.0, 2: 104.0, 4: 108.0, 8: 109.0}) == (1, 4)


def test_precision_whose_golden_images_fail_is_never_taken_however_fast() -> None:
    slow = row(precision="float32", seconds={1: 0.1, 2: 0.2})
    fast = row(
        precision="int8", seconds={1: 0.001, 2: 0.001}, refusal="2 of 9 golden images got another class"
    )

    chosen = choose(measured(fast, slow, is_quantised=True), LIMITS)

    assert chosen is not None
    assert chosen.configuration == slow.configuration
    assert chosen.precision_setting == "float32"  # auto would take int8, and the server refuse it


def test_without_golden_images_only_float32_is_taken() -> None:
    low = row(precision="bfloat16", seconds={1: 0.001}, difference=None)
    full = row(precision="float32", seconds={1: 0.1}, difference=None)

    chosen = choose(measured(low, full), LIMITS)

    assert chosen is not None
    assert chosen.configuration == full.configuration
    assert choose(measured(low), LIMITS) is None


def test_engine_that_leaves_cores_to_decoding_wins_where_decoding_is_dear() -> None:
    """Two threads are a third faster alone, and burn half as much again; with 40 ms of decoding that loses."""
    one = row(threads=1, seconds={1: 0.040})
    two = row(threads=2, seconds={1: 0.030})

    cheap, dear = measured(one, two, picture_s=0.001), measured(one, two, picture_s=0.040)

    assert getattr(choose(cheap, LIMITS), "configuration", None) == two.configuration
    assert getattr(choose(dear, LIMITS), "configuration", None) == one.configuration
    assert server_per_s(two, 1, dear) == pytest.approx(2 / (0.060 + 0.040))
    assert server_per_s(one, 1, dear) == pytest.approx(2 / (0.040 + 0.040))


def test_of_two_alike_the_one_that_answers_a_lone_image_sooner_wins() -> None:
    """A second measurement could swap three percent."""
    slow = row(threads=1, seconds={1: 0.040, 2: 0.0485}, cpu_per_wall=1.0)
    quick = row(threads=2, seconds={1: 0.025, 2: 0.050}, cpu_per_wall=1.0)

    chosen = choose(measured(slow, quick), LIMITS)

    assert chosen is not None
    assert chosen.configuration == quick.configuration


def test_queue_holds_what_can_be_answered_within_the_deadline() -> None:
    """25 ms an image on two cores, 6 of them decoding: 40/s of the engine, and 1.994 s of the deadline are left."""
    given_ = measured(row(threads=1, seconds={1: 0.025}))

    chosen = choose(given_, LIMITS)
    capped = choose(given_, Limits(deadline_s=60.0, max_requests=256, max_queue_bytes=2**30))
    small = choose(given_, Limits(deadline_s=60.0, max_requests=256, max_queue_bytes=10 * 224 * 224 * 3))

    assert chosen is not None
    assert (chosen.max_queue_entries, chosen.queue_is_capped) == (79, False)
    assert capped is not None
    assert (capped.max_queue_entries, capped.queue_is_capped) == (256, True)
    assert small is not None
    assert (small.max_queue_entries, small.queue_is_capped) == (10, True)


def test_image_threads_are_at_most_half_busy() -> None:
    """A GPU's 100 images a second, 12 ms of decoding each: 1.2 threads' work, so three; with two cores, two."""
    gpu = row("torch", threads=None, seconds={1: 0.010})

    many = choose(measured(gpu, cores=16, picture_s=0.012), LIMITS)
    few = choose(measured(gpu, cores=2, picture_s=0.012), LIMITS)

    assert many is not None
    assert few is not None
    assert (many.image_threads, few.image_threads) == (3, 2)
    assert (many.engine_setting, many.configuration.threads) == ("auto", None)


@pytest.mark.parametrize(
    ("cores", "counts"), [(1, (1,)), (2, (1, 2)), (3, (1, 2, 3)), (8, (1, 2, 4, 8)), (12, (1, 2, 4, 8, 12))]
)
def test_threads_are_powers_of_two_and_all_cores(cores: int, counts: tuple[int, ...]) -> None:
    assert thread_counts(cores) == counts
    kinds = [("openvino", "int8"), ("torch", "float32")]
    assert len(configurations(kinds, device="cpu", cores=cores)) == 2 * len(counts)  # type: ignore[arg-type]
    assert len(configurations([("torch", "float32")], device="cuda:0", cores=cores)) == 1
