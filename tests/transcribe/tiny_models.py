"""A tiny Whisper and a tiny wav2vec 2.0, made and trained on the spot to know four spoken clips.

Both have their real architecture, files and tokens, so that the real faster-whisper and the real
whisperX load and run them. They know nothing but `SENTENCES`, in the two voices that say them here.

What makes minutes of training into seconds: the cross-attention is told where each word is said
(guided attention, as in text-to-speech: Tachibana et al. 2017), the encoder's self-attention adds
nothing, and one of its position signals is a plain ramp, so that "the first clip" is easy to find.
Hotwords are told to it, too, but only words that it knows: names of others confuse it.
"""

import json
import math
import random
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import soxr
import torch
from ctranslate2.converters import TransformersConverter
from faster_whisper.feature_extractor import FeatureExtractor
from msgspec.structs import replace
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers, trainers
from transformers import (
    GenerationConfig,
    PreTrainedTokenizerFast,
    Wav2Vec2Config,
    Wav2Vec2CTCTokenizer,
    Wav2Vec2FeatureExtractor,
    Wav2Vec2ForCTC,
    Wav2Vec2Processor,
    WhisperConfig,
    WhisperForConditionalGeneration,
)

from podcaster.audio import Samples
from podcaster.speak.espeak import EspeakVoicer
from podcaster.speak.sketching import sketch
from podcaster.speak.voices import builtin_folder, read_voices

RATE_HZ = 16_000
SENTENCES = (
    ("ada", "Welcome to the garden show."),
    ("otis", "Tomatoes love morning sun."),
    ("ada", "Bees visit purple flowers."),
    ("otis", "That is all for today."),
)
# an octave and a throat apart, whatever the built-in voices are
SETTINGS: dict[str, dict[str, str | int | float | bool]] = {
    "ada": {
        "accent": "en-us", "pace_wpm": 148, "pitch_low_hz": 160, "pitch_high_hz": 225,
        "formant_1_percent": 106, "formant_2_percent": 106, "formant_3_percent": 106,
        "formant_rest_percent": 108, "brightness_percent": 105,
    },
    "otis": {
        "accent": "en-us", "pace_wpm": 136, "pitch_low_hz": 64, "pitch_high_hz": 92,
        "formant_1_percent": 94, "formant_2_percent": 92, "formant_3_percent": 94,
        "formant_rest_percent": 92, "bandwidth_percent": 105, "brightness_percent": 92,
    },
}  # fmt: skip
LANGUAGES = ("en", "de", "fr")
FRAMES = 1500  # of the encoder: 20 ms each, 30 s
END = "<|endoftext|>"
SPECIALS = (
    END,
    "<|startoftranscript|>",
    *(f"<|{language}|>" for language in LANGUAGES),
    "<|translate|>",
    "<|transcribe|>",
    "<|startoflm|>",
    "<|startofprev|>",
    "<|nospeech|>",
    "<|notimestamps|>",  # the converter adds those of times after it
)
START = ("<|startoftranscript|>", "<|en|>", "<|transcribe|>", "<|notimestamps|>")
_WIDTH = 64
_RAMP = 6.0
_EDGE_S = 0.05


@dataclass(frozen=True)
class SpokenClip:
    """A sentence as a voice says it: float32 mono `(n_samples,)` at 16 kHz."""

    voice: str
    text: str
    samples: Samples

    @property
    def duration_s(self) -> float:
        return len(self.samples) / RATE_HZ


def speak_clips() -> tuple[SpokenClip, ...]:
    """The sentences, spoken by our own eSpeak voicer: the same samples every time."""
    voices, _ = read_voices([builtin_folder()])
    voicer = EspeakVoicer()
    clips = []
    for voice, text in SENTENCES:
        told = replace(sketch(voices[voice]), engine_settings=SETTINGS[voice])
        speech = voicer.say([text], told, language="en", seed=3)
        samples = soxr.resample(speech.samples, speech.sample_rate_hz, RATE_HZ)
        clips.append(SpokenClip(voice, text, samples.astype(np.float32)))
    voicer.close()
    return tuple(clips)


def join_clips(
    clips: Sequence[SpokenClip], *, gap_s: float = 1.5, lead_s: float = 0.5
) -> tuple[Samples, list[tuple[float, float]]]:
    """A recording of clips with silence around them, and when each begins and ends in seconds."""
    gap = np.zeros(round(gap_s * RATE_HZ), dtype=np.float32)
    parts: list[Samples] = [np.zeros(round(lead_s * RATE_HZ), dtype=np.float32)]
    spans = []
    for clip in clips:
        start = sum(len(part) for part in parts)
        spans.append((start / RATE_HZ, (start + len(clip.samples)) / RATE_HZ))
        parts += [clip.samples, gap]
    return np.concatenate(parts), spans


# --- Whisper -------------------------------------------------------------------------------------


def build_whisper(folder: Path, clips: Sequence[SpokenClip]) -> Path:
    """Train a Whisper on the clips and convert it: a folder that faster-whisper opens."""
    torch.manual_seed(0)
    tokenizer = _make_tokenizer()
    model = WhisperForConditionalGeneration(_whisper_config(tokenizer))
    _ease(model)
    _train_whisper(model, _Lesson(clips, tokenizer))
    return _convert_whisper(model, tokenizer, folder)


def build_english_only_whisper(folder: Path) -> Path:
    """An untrained Whisper that has no tokens for languages, as OpenAI's `.en` models."""
    tokenizer = _make_tokenizer(languages=())
    model = WhisperForConditionalGeneration(_whisper_config(tokenizer, width=16))
    return _convert_whisper(model, tokenizer, folder)


def _convert_whisper(
    model: WhisperForConditionalGeneration, tokenizer: Tokenizer, folder: Path
) -> Path:
    """Save a Whisper as transformers does, and let ctranslate2's own converter make a folder."""
    model.generation_config = GenerationConfig(
        suppress_tokens=[],
        begin_suppress_tokens=[],
        alignment_heads=[[1, 0], [1, 1]],  # those that were told where each word is said
        lang_to_id={
            text: token for text in SPECIALS[2:5] if (token := tokenizer.token_to_id(text))
        },
    )
    original = folder / "transformers"
    model.save_pretrained(original)
    PreTrainedTokenizerFast(tokenizer_object=tokenizer, eos_token=END).save_pretrained(original)
    features = {"feature_size": model.config.num_mel_bins, "sampling_rate": RATE_HZ}
    features |= {"hop_length": 160, "chunk_length": 30, "n_fft": 400}
    (original / "preprocessor_config.json").write_text(json.dumps(features))
    converted = folder / "ctranslate2"
    converter = TransformersConverter(
        str(original), copy_files=["tokenizer.json", "preprocessor_config.json"]
    )
    converter.convert(str(converted))
    return converted


def _make_tokenizer(languages: Sequence[str] = LANGUAGES) -> Tokenizer:
    """Byte-level BPE that knows each word of the sentences, then Whisper's special tokens."""
    tokenizer = Tokenizer(models.BPE())
    tokenizer.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    tokenizer.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=2000, min_frequency=1, initial_alphabet=alphabet, show_progress=False
    )
    tokenizer.train_from_iterator([f" {text}" for _, text in SENTENCES], trainer)
    if languages:  # an empty token is how ctranslate2 knows OpenAI's multilingual vocabulary
        described = json.loads(tokenizer.to_str())
        described["model"]["vocab"][""] = len(described["model"]["vocab"])
        tokenizer = Tokenizer.from_str(json.dumps(described))
    left_out = {f"<|{language}|>" for language in LANGUAGES if language not in languages}
    tokenizer.add_special_tokens(
        [AddedToken(text, special=True) for text in SPECIALS if text not in left_out]
    )
    return tokenizer


def _whisper_config(tokenizer: Tokenizer, width: int = _WIDTH) -> WhisperConfig:
    end = tokenizer.token_to_id(END)
    return WhisperConfig(
        vocab_size=tokenizer.get_vocab_size() + FRAMES + 1,  # times: the converter names them
        num_mel_bins=80,
        d_model=width,
        encoder_layers=2,
        decoder_layers=2,
        encoder_attention_heads=2,
        decoder_attention_heads=2,
        encoder_ffn_dim=2 * width,
        decoder_ffn_dim=2 * width,
        max_source_positions=FRAMES,
        max_target_positions=448,
        pad_token_id=end,
        bos_token_id=end,
        eos_token_id=end,
        decoder_start_token_id=tokenizer.token_to_id(START[0]),
        dropout=0.0,
        suppress_tokens=None,
        begin_suppress_tokens=None,
        attn_implementation="eager",  # the others do not tell their attention
    )


def _ease(model: Any) -> None:
    """Take away what would have to be learned: see the module's first lines."""
    encoder = model.model.encoder
    for layer in encoder.layers:
        torch.nn.init.zeros_(layer.self_attn.out_proj.weight)
        torch.nn.init.zeros_(layer.self_attn.out_proj.bias)
    ramp = torch.arange(FRAMES) / 50 / 15 * _RAMP - _RAMP / 2
    encoder.embed_positions.weight.data[:, 0] = ramp
    encoder.embed_positions.weight.data[:, 1] = -ramp


class _Nothing(torch.nn.Module):
    """Stands in for a self-attention whose output is zero: training without its cost."""

    def forward(self, hidden_states: Any, **_: Any) -> tuple[Any, None]:
        return torch.zeros_like(hidden_states), None


class _Lesson:
    """Makes windows of clips in any order, with their tokens and where each is said."""

    def __init__(self, clips: Sequence[SpokenClip], tokenizer: Tokenizer) -> None:
        self._rng, self._noise = random.Random(0), np.random.default_rng(0)
        edge = np.zeros(round(_EDGE_S * RATE_HZ), dtype=np.float32)
        self._mels = [_log_mel(np.concatenate([edge, clip.samples, edge])) for clip in clips]
        self._texts = [
            tokenizer.encode(f" {clip.text}", add_special_tokens=False) for clip in clips
        ]
        self._lengths = [len(clip.text) + 1 for clip in clips]
        self._previous = tokenizer.token_to_id("<|startofprev|>")
        self.start = [tokenizer.token_to_id(text) for text in START]
        self.end = tokenizer.token_to_id(END)
        self._words = sorted({token for text in self._texts for token in text.ids})
        self.weights = torch.ones(tokenizer.get_vocab_size() + FRAMES + 1)
        # the first word of a clip is heard; the others follow from it
        self.weights[[text.ids[0] for text in self._texts]] = 8.0

    def make_batch(self, size: int, frames: int) -> tuple[Any, Any, Any, Any]:
        """Features, tokens in, tokens out (-100: not asked), and each one's place in the sound."""
        features = np.zeros((size, 80, 2 * frames), dtype=np.float32)
        asked = [self._make_window(frames) for _ in range(size)]
        longest = max(len(tokens) for _, tokens, _, _ in asked)
        given = np.full((size, longest), self.end)
        wanted = np.full((size, longest), -100)
        places = np.zeros((size, longest, frames), dtype=np.float32)
        for row, (heard, tokens, first, spans) in enumerate(asked):
            features[row, :, : heard.shape[1]] = heard
            given[row, : len(tokens)] = tokens
            wanted[row, first] = tokens[first + 1]  # the language
            start = first + len(self.start) - 1
            wanted[row, start : len(tokens) - 1] = tokens[start + 1 :]
            for place, (begin, end) in enumerate(spans, start=start):
                until = max(int(begin * 50) + 1, math.ceil(end * 50))
                places[row, place, int(begin * 50) : until] = 1.0
        arrays = (features, given, wanted, places)
        return tuple(torch.from_numpy(array) for array in arrays)  # type: ignore[return-value]

    def _make_window(self, frames: int) -> tuple[Any, list[int], int, list[tuple[float, float]]]:
        rng = self._rng
        parts, at_s = [self._silence(0.0, 0.6)], 0.0
        tokens: list[int] = []
        spans: list[tuple[float, float]] = []
        for clip in rng.sample(range(len(self._mels)), rng.randint(1, len(self._mels))):
            start_s = sum(part.shape[1] for part in parts) / 100 + _EDGE_S
            spoken_s = self._mels[clip].shape[1] / 100 - 2 * _EDGE_S
            if tokens and start_s + spoken_s > frames * 0.02 - 1.0:
                break
            text, length = self._texts[clip], self._lengths[clip]
            tokens += text.ids
            spans += [(start_s + spoken_s * a / length, start_s + spoken_s * b / length)
                      for a, b in text.offsets]  # fmt: skip
            parts += [self._mels[clip] + rng.uniform(-0.4, 0.0), self._silence(0.1, 1.0)]
            at_s = start_s + spoken_s
        heard = np.maximum(np.concatenate(parts, axis=1), rng.uniform(-10, -5))
        heard = heard + self._noise.normal(0, 0.05, heard.shape).astype(np.float32)
        heard = (np.maximum(heard, heard.max() - 8.0) + 4.0) / 4.0  # as Whisper's features are
        prompt: list[int] = []
        if rng.random() < 0.2:  # hotwords: names that say nothing of what is heard
            prompt = [self._previous, *rng.choices(self._words, k=rng.randint(1, 8))]
        whole = [*prompt, *self.start, *tokens, self.end]
        # what says that there is no more is the silence after the last word
        return heard[:, : 2 * frames], whole, len(prompt), [*spans, (at_s, frames * 0.02)]

    def _silence(self, shortest_s: float, longest_s: float) -> Any:
        frames = int(self._rng.uniform(shortest_s, longest_s) * 100)
        return np.full((80, frames), -10.0, dtype=np.float32)


def _log_mel(samples: Samples) -> Any:
    """Whisper's features of a clip before they are levelled, so that clips can be joined."""
    extractor = FeatureExtractor(feature_size=80)
    window = np.hanning(401)[:-1].astype(np.float32)
    spectrum = extractor.stft(
        np.pad(samples, (0, 160)), 400, 160, window=window, return_complex=True
    )
    mel = extractor.mel_filters @ (np.abs(spectrum[..., :-1]) ** 2)
    return np.log10(np.clip(mel, 1e-10, None)).astype(np.float32)


def _train_whisper(model: Any, lesson: _Lesson) -> None:
    layers = model.model.encoder.layers
    kept = [layer.self_attn for layer in layers]
    for layer in layers:
        layer.self_attn = _Nothing()
    positions = model.model.encoder.embed_positions
    for frames, steps, rate in ((600, 330, 6e-3), (FRAMES, 24, 1e-3)):
        model.config.max_source_positions = frames
        model.model.encoder.max_source_positions = frames
        model.model.encoder.embed_positions = torch.nn.Embedding.from_pretrained(
            positions.weight[:frames].detach()
        )
        optimiser = torch.optim.AdamW(
            (p for p in model.parameters() if p.requires_grad), lr=rate, weight_decay=0.0
        )
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, rate, total_steps=steps, pct_start=0.15
        )
        for _ in range(steps):
            loss = _whisper_loss(model, lesson, frames)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            optimiser.step()
            optimiser.zero_grad()
            schedule.step()
    model.model.encoder.embed_positions = positions
    for layer, attention in zip(layers, kept, strict=True):
        layer.self_attn = attention
    model.eval()


def _whisper_loss(model: Any, lesson: _Lesson, frames: int) -> Any:
    features, given, wanted, places = lesson.make_batch(8, frames)
    out = model(
        input_features=features, decoder_input_ids=given, output_attentions=True, use_cache=False
    )
    words = torch.nn.functional.cross_entropy(
        out.logits.flatten(0, 1), wanted.flatten(), weight=lesson.weights
    )
    attention = out.cross_attentions[-1].mean(1)
    placed = places.sum(-1) > 0
    looked = (attention * places).sum(-1)[placed]
    return words - (looked + 1e-6).log().mean()


# --- wav2vec 2.0 ---------------------------------------------------------------------------------

_CHARACTERS = "|'abcdefghijklmnopqrstuvwxyz"


def build_aligner(folder: Path, clips: Sequence[SpokenClip]) -> Path:
    """Train a wav2vec 2.0 to spell the clips: a folder as transformers saves it."""
    torch.manual_seed(0)
    vocabulary = {"<pad>": 0, "<unk>": 1, **{c: i for i, c in enumerate(_CHARACTERS, start=2)}}
    (folder / "vocab.json").write_text(json.dumps(vocabulary))
    tokenizer = Wav2Vec2CTCTokenizer(
        str(folder / "vocab.json"), unk_token="<unk>", pad_token="<pad>", word_delimiter_token="|"
    )
    features = Wav2Vec2FeatureExtractor(do_normalize=True, return_attention_mask=False)
    model = Wav2Vec2ForCTC(
        Wav2Vec2Config(
            vocab_size=len(vocabulary),
            hidden_size=_WIDTH,
            num_hidden_layers=2,
            num_attention_heads=2,
            intermediate_size=2 * _WIDTH,
            conv_dim=(24,) * 7,  # the seven layers and strides are the real ones
            num_conv_pos_embeddings=16,
            num_conv_pos_embedding_groups=2,
            pad_token_id=0,
            mask_time_prob=0.0,
            layerdrop=0.0,
            hidden_dropout=0.0,
            attention_dropout=0.0,
            feat_proj_dropout=0.0,
            final_dropout=0.0,
            activation_dropout=0.0,
            bos_token_id=None,
            eos_token_id=None,
        )
    )
    _train_aligner(model, clips, vocabulary)
    model.save_pretrained(folder)
    Wav2Vec2Processor(feature_extractor=features, tokenizer=tokenizer).save_pretrained(folder)
    return folder


def _train_aligner(model: Any, clips: Sequence[SpokenClip], vocabulary: dict[str, int]) -> None:
    """Teach it which character is said about where, and nothing (the blank) in between."""
    rng, steps = random.Random(0), 110
    optimiser = torch.optim.AdamW(model.parameters(), lr=4e-3, weight_decay=0.0)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, 4e-3, total_steps=steps)
    weights = torch.ones(len(vocabulary))
    weights[0] = 0.3  # most of the time there is no character
    texts = ["|".join("".join(c for c in word if c in _CHARACTERS) for word in text.split())
             for text in (clip.text.lower() for clip in clips)]  # fmt: skip
    longest = max(len(clip.samples) for clip in clips) + RATE_HZ
    for _ in range(steps):
        sounds = np.zeros((len(clips), longest), dtype=np.float32)
        wanted = torch.zeros((len(clips), longest // 320 - 1), dtype=torch.long)
        for row, (clip, text) in enumerate(zip(clips, texts, strict=True)):
            lead = rng.randrange(longest - len(clip.samples))
            sounds[row, lead : lead + len(clip.samples)] = clip.samples
            sounds[row] = (sounds[row] - sounds[row].mean()) / np.sqrt(sounds[row].var() + 1e-7)
            for place, character in enumerate(text):
                at_s = lead / RATE_HZ + clip.duration_s * (place + 0.5) / len(text)
                wanted[row, min(int(at_s * 50), wanted.shape[1] - 1)] = vocabulary[character]
        logits = model(torch.from_numpy(sounds)).logits[:, : wanted.shape[1]]
        loss = torch.nn.functional.cross_entropy(
            logits.flatten(0, 1), wanted[:, : logits.shape[1]].flatten(), weight=weights
        )
        loss.backward()
        torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimiser.step()
        optimiser.zero_grad()
        schedule.step()
    model.eval()
