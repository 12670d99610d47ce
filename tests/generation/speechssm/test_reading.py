"""Lanes read every unit once and in order, and say the same to the bit whoever reads beside them."""

from collections import Counter
from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from generation.errors import NarrationError
from generation.noise import content_seed
from generation.packed import PackedLinear, packed
from generation.script.units import SYMBOLS
from generation.speechssm.griffin import GriffinConfig
from generation.speechssm.model import ADVANCES, MAX_DWELL, SpeechConfig, SpeechSSM
from generation.speechssm.presets import speech_config
from generation.speechssm.reading import (
    MAX_WINDOW_STEPS,
    MAX_WINDOW_UNITS,
    Reader,
    Sampling,
    Snapshot,
    WindowReading,
)

K = 24
LANES = 16


@pytest.fixture(scope="module")
def model() -> SpeechSSM:
    torch.manual_seed(9)
    model = SpeechSSM(speech_config("tiny", K)).eval()
    torch.nn.init.normal_(model.token_head.weight, std=0.5)
    return model


class Text:
    """A chapter with its vectors."""

    def __init__(self, model: SpeechSSM, units: int, seed: int):
        generator = torch.Generator().manual_seed(seed)
        self.units = torch.randint(1, len(SYMBOLS), (units,), generator=generator)
        self.starts = torch.rand(units, generator=generator) < 0.25
        encode = model.text_encoder.encode_span
        self.windows = [
            encode(self.units, self.starts, first, min(first + 40, units))
            for first in range(0, units, 40)
        ]


def read_window(reader: Reader, lane: int) -> WindowReading:
    while lane not in reader.step():
        pass
    return reader.collect(lane)


def read_alone(reader: Reader, text: Text, chapter: int, lane: int) -> list[WindowReading]:
    reader.admit(lane)
    windows = []
    for number, vectors in enumerate(text.windows):
        reader.begin_window(lane, vectors, content_seed("book", chapter, number, 1))
        windows.append(read_window(reader, lane))
    return windows


def read_together(
    reader: Reader, texts: list[Text], order: list[int]
) -> dict[int, list[WindowReading]]:
    """Read chapters in `order`, each admitted to the last lane that is free, as an engine would."""
    waiting, free = list(order), list(range(reader.lanes))
    reading: dict[int, int] = {}
    windows: dict[int, list[WindowReading]] = {chapter: [] for chapter in order}

    def begin(lane: int) -> None:
        chapter = reading[lane]
        number = len(windows[chapter])
        vectors = texts[chapter].windows[number]
        reader.begin_window(lane, vectors, content_seed("book", chapter, number, 1))

    while waiting or reading:
        while waiting and free:
            lane = free.pop()
            reading[lane] = waiting.pop(0)
            reader.admit(lane)
            begin(lane)
        for lane in reader.step():
            chapter = reading[lane]
            windows[chapter].append(reader.collect(lane))
            if len(windows[chapter]) < len(texts[chapter].windows):
                begin(lane)
            else:
                del reading[lane]
                free.append(lane)
    return windows


def same(ours: list[WindowReading], theirs: list[WindowReading]) -> bool:
    return len(ours) == len(theirs) and all(
        torch.equal(a.tokens, b.tokens)
        and torch.equal(a.pointer, b.pointer)
        and a.forced == b.forced
        for a, b in zip(ours, theirs, strict=True)
    )


def biased(advance: int) -> SpeechSSM:
    """Make a model that always wants the same advance."""
    torch.manual_seed(9)
    backbone = GriffinConfig(32, 32, 32, heads=2, pattern="R", window=8)
    model = SpeechSSM(SpeechConfig(backbone, K, text_width=16, advance_width=16)).eval()
    torch.nn.init.zeros_(model.advance_leave.weight)
    with torch.no_grad():
        model.advance_leave.bias.fill_(-100.0)[advance] = 100.0
    return model


def test_every_unit_is_passed_in_order(model: SpeechSSM) -> None:
    text = Text(model, 100, seed=1)
    for window, vectors in zip(
        read_alone(Reader(model, LANES), text, 0, lane=3), text.windows, strict=True
    ):
        moves = window.pointer.diff()
        assert window.pointer[0] == 0
        assert len(vectors) - ADVANCES < window.pointer[-1] < len(vectors)
        assert moves.min() >= 0 and moves.max() < ADVANCES
        assert window.tokens.min() >= 0 and window.tokens.max() < K
        assert window.complete


def test_a_lane_says_the_same_alone_crowded_and_in_another_slot(model: SpeechSSM) -> None:
    texts = [Text(model, 60 + 7 * seed, seed) for seed in range(24)]
    order = list(range(24))
    crowded = read_together(Reader(model, LANES), texts, order)
    reversed_order = read_together(Reader(model, LANES), texts, order[::-1])
    for chapter in (0, 5, 23):
        first = read_alone(Reader(model, LANES), texts[chapter], chapter, lane=0)
        last = read_alone(Reader(model, LANES), texts[chapter], chapter, lane=LANES - 1)
        assert same(first, last)
        assert same(first, crowded[chapter])
        assert same(first, reversed_order[chapter])
    assert not torch.equal(crowded[0][0].tokens[:20], crowded[1][0].tokens[:20])


def test_the_shipped_size_says_the_same_in_every_slot() -> None:
    torch.manual_seed(9)
    model = SpeechSSM(speech_config("small", 512)).eval()
    text, *crowd = torch.randn(33, 200, 320)

    def first_tokens(lane: int, neighbours: bool) -> Tensor:
        reader = Reader(model, 32)
        for other in range(32) if neighbours else ():
            reader.admit(other)
            reader.begin_window(other, crowd[other], other)
        reader.admit(lane)
        reader.begin_window(lane, text, 77)
        for _ in range(30):
            reader.step()
        state = reader.snapshot(lane)
        tokens = reader.collect(lane).tokens
        assert len(tokens) == 30
        return torch.cat([tokens.float(), state.hidden.flatten()])

    alone = first_tokens(0, neighbours=False)
    assert torch.equal(alone, first_tokens(0, neighbours=True))
    assert torch.equal(alone, first_tokens(31, neighbours=True))
    assert torch.equal(alone, first_tokens(13, neighbours=False))


def test_a_repair_reads_one_window_again_and_leaves_the_rest(model: SpeechSSM) -> None:
    text = Text(model, 120, seed=2)
    reader = Reader(model, LANES)
    reader.admit(0)
    entries, takes = [], []
    for number, vectors in enumerate(text.windows):
        entries.append(reader.snapshot(0))
        reader.begin_window(0, vectors, content_seed("book", 0, number, 1))
        takes.append(read_window(reader, 0))
    again = Reader(model, LANES)
    retaken = {}
    for take in (1, 2):
        again.admit(9, entries[1])
        again.begin_window(9, text.windows[1], content_seed("book", 0, 1, take))
        retaken[take] = read_window(again, 9)
    assert same([retaken[1]], [takes[1]])
    assert not torch.equal(retaken[2].tokens[:10], takes[1].tokens[:10])
    again.admit(4, entries[2])
    again.begin_window(4, text.windows[2], content_seed("book", 0, 2, 1))
    assert same([read_window(again, 4)], [takes[2]])


def test_a_snapshot_survives_being_written_down(model: SpeechSSM) -> None:
    text = Text(model, 80, seed=3)
    reader = Reader(model, LANES)
    reader.admit(2)
    reader.begin_window(2, text.windows[0], 1)
    read_window(reader, 2)
    entry = reader.snapshot(2)
    blobs = {name: tensor.numpy().tobytes() for name, tensor in entry.to_tensors().items()}
    reader.begin_window(2, text.windows[1], 2)
    straight = read_window(reader, 2)
    restored = {
        name: torch.frombuffer(bytearray(blobs[name]), dtype=tensor.dtype).view(tensor.shape)
        for name, tensor in entry.to_tensors().items()
    }
    other = Reader(model, LANES)
    other.admit(7, Snapshot.from_tensors(restored))
    other.begin_window(7, text.windows[1], 2)
    assert same([read_window(other, 7)], [straight])


def test_a_snapshot_is_not_changed_by_reading_on(model: SpeechSSM) -> None:
    text = Text(model, 80, seed=3)
    reader = Reader(model, LANES)
    read_alone(reader, text, 0, lane=1)
    entry = reader.snapshot(1)
    before = [tensor.clone() for tensor in entry]
    reader.admit(1, entry)
    reader.begin_window(1, text.windows[0], 5)
    read_window(reader, 1)
    assert all(torch.equal(a, b) for a, b in zip(before, entry, strict=True))


def test_the_coldest_reading_is_the_likeliest_of_the_training_pass(model: SpeechSSM) -> None:
    """What is stepped in lanes must be what was trained: score the reading by the other path."""
    text = Text(model, 40, seed=4)
    cold = Sampling(temperature=1e-4, top_p=1.0, candidates=K, advance_temperature=1e-4)
    reader = Reader(model, LANES, cold)
    reader.admit(0)
    reader.begin_window(0, text.windows[0], 1)
    reading = read_window(reader, 0)
    end = torch.tensor([40])
    advances = torch.cat([reading.pointer, end]).diff()
    with torch.inference_mode():
        token_logits, advance_logits, _ = model(
            text.units[None], text.starts[None], reading.pointer[None],
            reading.tokens[None], advances[None],
        )  # fmt: skip
    assert torch.equal(token_logits[0].argmax(-1), reading.tokens)
    assert torch.equal(advance_logits[0].argmax(-1)[:-1], advances[:-1])


def test_tokens_are_drawn_as_often_as_their_nucleus_says(model: SpeechSSM) -> None:
    """One step of many seeds: the frequencies of what is kept, and nothing else."""
    sampling = Sampling(temperature=0.7, top_p=0.8, candidates=K)
    reader = Reader(model, 64, sampling)
    vectors = torch.linspace(-1, 1, 64).repeat(10, 1)
    drawn: Counter[int] = Counter()
    for round_ in range(40):
        for lane in range(64):
            reader.admit(lane)
            reader.begin_window(lane, vectors, content_seed(round_, lane))
        reader.step()
        drawn.update(int(reader.collect(lane).tokens[0]) for lane in range(64))
    state = model.initial_state(1)
    with torch.inference_mode():
        logits = model.token_head(model.step(vectors[:1], state))[0] / 0.7
    likelihood, codes = logits.softmax(-1).sort(descending=True)
    kept = int((likelihood.cumsum(0) - likelihood < 0.8).sum())
    assert 1 < kept < K
    expected = likelihood[:kept] / likelihood[:kept].sum()
    assert set(drawn) <= set(codes[:kept].tolist())
    total = 40 * 64
    for code, share in zip(codes[:kept].tolist(), expected.tolist(), strict=True):
        deviation = (total * share * (1 - share)) ** 0.5
        assert abs(drawn[code] - total * share) < 5 * deviation


def test_a_pointer_that_will_not_move_is_forced_and_counted() -> None:
    model = biased(0)
    reader = Reader(model, 8)
    reader.admit(0)
    reader.begin_window(0, torch.randn(5, 32), 1)
    reading = read_window(reader, 0)
    assert reading.forced == 5
    assert Counter(reading.pointer.tolist()) == dict.fromkeys(range(5), MAX_DWELL + 1)


def test_a_hasty_pointer_stops_at_the_window_end() -> None:
    model = biased(3)
    reader = Reader(model, 8)
    reader.admit(0)
    reader.begin_window(0, torch.randn(7, 32), 1)
    reading = read_window(reader, 0)
    assert reading.pointer.tolist() == [0, 3, 6]
    assert reading.forced == 0
    assert reader.snapshot(0).advance.item() == 1


def test_a_reading_that_never_ends_is_given_up_and_says_so() -> None:
    reader = Reader(biased(0), 8)
    reader.admit(0)
    reader.begin_window(0, torch.randn(MAX_WINDOW_UNITS, 32), 1)
    reading = read_window(reader, 0)
    assert not reading.complete
    assert len(reading.tokens) == MAX_WINDOW_STEPS


def test_a_continuation_without_text_goes_on_from_a_prompt(model: SpeechSSM) -> None:
    prompt = torch.randint(K, (1, 65), generator=torch.Generator().manual_seed(1))
    nothing = torch.ones(1, 1, dtype=torch.int64)
    still = torch.zeros_like(prompt)
    with torch.inference_mode():
        _, _, state = model(nothing, nothing, still, prompt, still, textless=torch.tensor([True]))
    continued = {}
    for lane, neighbour in ((0, False), (5, True)):
        reader = Reader(model, LANES)
        if neighbour:
            reader.admit(1)
            reader.begin_window(1, Text(model, 40, seed=1).windows[0], 3)
        reader.admit(lane, Snapshot.of(state, 0))
        chunks = []
        for chunk in range(2):
            reader.begin_continuation(lane, 50, content_seed("continue", chunk))
            chunks.append(read_window(reader, lane))
        continued[lane] = chunks
    assert [len(chunk.tokens) for chunk in continued[0]] == [50, 50]
    assert all(chunk.complete and chunk.forced == 0 for chunk in continued[0])
    assert same(continued[0], continued[5])


@pytest.mark.parametrize("give_up", [Reader.release, Reader.admit])
def test_a_lane_given_up_is_not_named_again(
    model: SpeechSSM, give_up: Callable[[Reader, int], None]
) -> None:
    text = Text(model, 40, seed=1)
    reader = Reader(model, LANES)
    for lane in (0, 1):
        reader.admit(lane)
        reader.begin_window(lane, text.windows[0], lane)
    reader.step()
    give_up(reader, 0)
    named = [reader.step() for _ in range(200)]
    assert [lanes for lanes in named if lanes] == [[1]]


def test_memory_does_not_grow_with_what_is_read(model: SpeechSSM) -> None:
    reader = Reader(model, 8)

    def held() -> int:
        tensors = [v for v in vars(reader).values() if isinstance(v, Tensor)]
        state = reader._state
        tensors += [*state.backbone, state.token, state.advance, state.dwell]
        return sum(tensor.nbytes for tensor in tensors)

    before = held()
    read_alone(reader, Text(model, 400, seed=1), 0, lane=0)
    assert held() == before


@pytest.mark.parametrize(
    ("act", "message"),
    [
        (lambda r: r.begin_window(0, torch.zeros(0, 64), 1), "a window of 0 units"),
        (lambda r: r.begin_window(0, torch.zeros(MAX_WINDOW_UNITS + 1, 64), 1), "split it"),
        (lambda r: r.begin_continuation(0, 0, 1), "ask for 1 to"),
        (lambda r: Snapshot.from_tensors({"hidden": torch.zeros(1)}), "another version"),
        (
            lambda r: r.admit(0, Snapshot.of(SpeechSSM(speech_config("small", 8)).initial_state(1), 0)),
            "repair with the weights",
        ),
    ],
)  # fmt: skip
def test_what_cannot_be_read_is_refused_with_advice(
    model: SpeechSSM, act: Callable[[Reader], object], message: str
) -> None:
    with pytest.raises(NarrationError, match=message):
        act(Reader(model, 8))


def test_lanes_must_fill_whole_vectors(model: SpeechSSM) -> None:
    with pytest.raises(ValueError, match="multiple of 8"):
        Reader(model, 5)


def test_packed_layers_say_what_plain_layers_say() -> None:
    torch.manual_seed(0)
    for bias in (True, False):
        linear = torch.nn.Linear(320, 640, bias=bias)
        x = torch.randn(32, 320)
        torch.testing.assert_close(PackedLinear(linear, 32)(x), linear(x), rtol=0, atol=1e-5)


def test_packing_leaves_the_model_to_be_trained(model: SpeechSSM) -> None:
    runner = packed(model, 8)
    assert any(isinstance(module, PackedLinear) for module in runner.modules())
    assert not any(isinstance(module, PackedLinear) for module in model.modules())
    assert all(parameter.requires_grad for parameter in model.parameters())
