import tracemalloc
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from podcaster.audio import write_wav
from podcaster.mix import render
from podcaster.mix.clips import ClipScan, scan_clip, speak_clip
from podcaster.mix.options import MixOptions
from podcaster.mix.render import BLOCK_SAMPLES, MUSIC, Layer, PlacedClip, Plan, plan_places
from podcaster.model import Clip, Speaker
from podcaster.units import SAMPLE_RATE_HZ


def make_plan(folder: Path, turns: int, turn_s: float = 4.0) -> Plan:
    rate_hz = 22_050
    samples = (0.2 * np.sin(np.arange(round(turn_s * rate_hz)) * 0.05)).astype(np.float32)
    write_wav(folder / "a.wav", samples, rate_hz)
    clip = Clip(
        path="a.wav", text="x", voice="v", duration_s=turn_s, sample_rate_hz=rate_hz, sentences=()
    )
    scan = scan_clip(folder / "a.wav", clip, "turn 1")
    step = round(turn_s * SAMPLE_RATE_HZ)
    clips = [PlacedClip("ab"[n % 2], scan, 1.0, n * step, n * step + step) for n in range(turns)]
    room = np.full((5000, 2), 1e-4, dtype=np.float32)
    music = np.full((SAMPLE_RATE_HZ * 3, 2), 0.01, dtype=np.float32)
    return Plan(clips, [Layer(1000, music)], room, {"a": -0.2, "b": 0.2}, turns * step, 2)


def speaker(name: str, role: str) -> Speaker:
    return Speaker(id=name, name=name, role=role)  # type: ignore[arg-type]


def test_hosts_sit_left_guests_right_and_others_between() -> None:
    assert plan_places([speaker("a", "guest")]) == {"a": 0.0}
    both = plan_places([speaker("g", "guest"), speaker("h", "host")])
    assert both["h"] == -both["g"] < 0
    four = plan_places([speaker("g", "guest"), speaker("o", "other"), speaker("h", "host")])
    assert four["h"] < four["o"] == 0.0 < four["g"]
    assert abs(four["h"]) < 0.3  # slight


def test_placing_keeps_the_power() -> None:
    for place in (-1.0, -0.22, 0.0, 0.5):
        assert (render._pan_gains(place) ** 2).sum() == pytest.approx(1.0, abs=1e-6)
    assert render._pan_gains(0.2)[1] > render._pan_gains(0.2)[0]


def test_the_stems_add_up_to_the_programme(tmp_path: Path) -> None:
    plan = make_plan(tmp_path, 7)
    stems: dict[str, list[np.ndarray]] = {}
    blocks = list(
        render.render_blocks(plan, lambda name, b: stems.setdefault(name, []).append(b.copy()))
    )
    assert set(stems) == {"a", "b", MUSIC}
    whole = np.concatenate(blocks)
    assert whole.shape == (plan.samples, 2)
    total = sum(np.concatenate(parts) for parts in stems.values())
    assert np.abs(total - whole).max() < 1e-6
    assert all(np.abs(np.concatenate(parts)).max() > 0.005 for parts in stems.values())


def test_stems_make_no_difference_to_the_programme(tmp_path: Path) -> None:
    plan = make_plan(tmp_path, 4)
    alone = np.concatenate(list(render.render_blocks(plan, None)))
    beside = np.concatenate(list(render.render_blocks(plan, lambda name, block: None)))
    assert np.array_equal(alone, beside)


def test_clips_begin_at_their_sample_and_go_on_across_blocks(tmp_path: Path) -> None:
    plan = make_plan(tmp_path, 1, turn_s=23.0)
    late = Plan(
        [PlacedClip("a", plan.clips[0].scan, 1.0, 700, 700 + plan.samples)],
        [],
        np.zeros((10, 1), dtype=np.float32),
        {"a": 0.0},
        plan.samples + 5000,
        1,
    )
    blocks = list(render.render_blocks(late, None))
    assert [len(block) for block in blocks[:-1]] == [BLOCK_SAMPLES] * 2
    whole = np.concatenate(blocks)[:, 0]
    spoken = np.concatenate(list(speak_clip(late.clips[0].scan, 1.0)))
    assert not whole[:700].any()
    assert np.array_equal(whole[700 : 700 + len(spoken)], spoken)
    assert not whole[700 + len(spoken) + 1 :].any()


def test_only_the_clips_of_a_block_are_open(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    open_now, most, opened = 0, 0, 0

    def counted(scan: ClipScan, gain: float) -> Iterator[np.ndarray]:
        nonlocal open_now, most, opened
        open_now, opened = open_now + 1, opened + 1
        most = max(most, open_now)
        try:
            yield from speak_clip(scan, gain)
        finally:
            open_now -= 1

    monkeypatch.setattr(render, "speak_clip", counted)
    for block in render.render_blocks(make_plan(tmp_path, 30), None):
        assert len(block) <= BLOCK_SAMPLES
    assert opened == 30
    assert open_now == 0
    assert most <= 4  # 10 s of turns of 4 s


def test_memory_does_not_grow_with_the_length(tmp_path: Path) -> None:
    def peak_bytes(turns: int, turn_s: float) -> int:
        plan = make_plan(tmp_path, turns, turn_s)
        tracemalloc.start()
        for _ in render.render_blocks(plan, None):
            pass
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return peak

    peak_bytes(2, 10.0)  # what is made once
    short = peak_bytes(10, 4.0)
    assert short > BLOCK_SAMPLES * 8  # a block was counted
    assert peak_bytes(60, 4.0) < 1.1 * short
    # nor with the length of a single turn
    assert peak_bytes(1, 240.0) < 1.1 * peak_bytes(1, 40.0)


def test_the_room_is_everywhere_without_a_seam(tmp_path: Path) -> None:
    room = np.arange(7, dtype=np.float32)[:, None]
    plan = Plan([], [], room, {}, BLOCK_SAMPLES + 9, 1)
    whole = np.concatenate(list(render.render_blocks(plan, None)))[:, 0]
    assert np.array_equal(whole, np.arange(len(whole)) % 7)


def test_music_in_one_channel_is_the_mean_of_both() -> None:
    speech = [(3.0, 20.0)]
    stereo = render.plan_layers(speech, MixOptions(), seed=1, level_lufs=-20.0)
    mono = render.plan_layers(speech, MixOptions(stereo=False), seed=1, level_lufs=-20.0)
    assert len(stereo) == len(mono) == 2
    assert mono[0].samples.shape[1] == 1
    assert np.allclose(stereo[0].samples.mean(axis=1), mono[0].samples[:, 0], atol=1e-6)
    assert render.plan_layers(speech, MixOptions(music=False), seed=1, level_lufs=-20.0) == []
