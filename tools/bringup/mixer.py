"""Training streams, mixed on the GPU from single clips: words, negatives, gaps, rooms, noise, levels.

    mixer = Mixer(clips, samples, settings, device)
    mel, ids, targets, weights, delay = mixer.batch(64, 200)

Nothing is precomputed but the clips: every stream is new. The numbers below are the recipe; what each is for stands
beside it, and what was tried stands in README.md.
"""
import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F

from mel import filters, log_mel, spectrum
from model import BOS, FIRST_WORD_ID, LEFT_PAD, PAD, POSITION_SAMPLES, WORD
from words import COMMANDS, DIGITS, WORDS

RATE = 16000


@dataclass
class Settings:
    synthetic: float = 0.25       # share of words that a synthesizer speaks
    negatives: float = 1.0        # scales the shares of unknown words and other speech
    bursts: float = 0.5           # share of streams whose noise switches on and off
    burst_slots: float = 1.0      # scales the share of slots that hold a burst of noise instead of a word
    narrow: float = 0.3           # share of streams that lost everything above 3.2 to 4 kHz (telephones, 8 kHz files)
    quiet: float = 0.35           # share of streams between -56 and -16 dB peak
    pad_weight: float = 0.7       # loss weight of "nothing to say" against 1 for a word
    speech: float = 1.0           # scales the share of other speech alone
    starts: float = 0.0           # share of other speech that begins where its speaker does, after a pause
    speech_length: float = 4.0    # seconds of other speech at most
    speech_weight: float = 1.0    # scales the loss weight of "nothing to say" while other speech or unknown words sound
    warp: float = 0.15            # vocal tract length, +-


class Mixer:
    def __init__(self, clips, samples, settings, device):
        self.settings, self.device = settings, device
        self.samples = torch.from_numpy(samples).to(device)
        words = [c for c in clips if c["kind"] in ("word", "unknown")]
        self.rows = torch.tensor([[c["at"], c["samples"], int(c["start"] * RATE), int(c["end"] * RATE),
                                   WORDS.index(c["label"]) if c["label"] else -1, c["peak"]] for c in words], device=device)
        self.word_weights = self.weigh_words(words)
        unknown = [float(c["kind"] == "unknown") for c in words]  # none without a synthesizer
        self.unknown_weights = torch.tensor(unknown if any(unknown) else [1.0] * len(words), device=device)
        self.unknown_share = settings.negatives * any(unknown)
        speech = [c for c in clips if c["kind"] == "speech"]
        self.speech = self.table(speech)
        self.onset_count = torch.tensor([len(c["onsets"]) for c in speech], device=device)
        most = int(self.onset_count.max())
        self.onsets = torch.tensor([c["onsets"] + [0] * (most - len(c["onsets"])) for c in speech], device=device)
        self.noise = self.table([c for c in clips if c["kind"] == "noise" and c["samples"] > 10 * RATE])
        self.noise_short = self.table([c for c in clips if c["kind"] == "noise"])
        self.window = torch.hann_window(400, device=device)
        self.warps = torch.linspace(1 - settings.warp, 1 + settings.warp, 13).tolist()
        self.banks = torch.stack([torch.from_numpy(filters(w)) for w in self.warps]).to(device)
        self.frequency = torch.linspace(0, 1, 201, device=device)

    def table(self, clips):
        return torch.tensor([[c["at"], c["samples"], c["peak"]] for c in clips], device=self.device)

    def weigh_words(self, words):
        """How often each clip is drawn: by group, and inside a group rare words more often than their share."""
        groups = {"commands": (0.40, 0.8), "digits": (0.22, 0.8), "fsdd": (0.24, 0.8), "others": (0.14, 0.5),
                  "synthetic": (1.0, 0.8)}

        def group_of(clip):
            if clip["kind"] != "word":
                return None
            if clip["corpus"] in ("synthetic", "fsdd"):
                return clip["corpus"]
            return "commands" if clip["label"] in COMMANDS else "digits" if clip["label"] in DIGITS else "others"

        member = [group_of(c) for c in words]
        total = torch.zeros(len(words))
        for group, (share, power) in groups.items():
            count = {}
            for c, g in zip(words, member):
                if g == group:
                    count[c["label"]] = count.get(c["label"], 0) + 1
            weight = torch.tensor([count[c["label"]] ** -power if g == group else 0.0 for c, g in zip(words, member)])
            if weight.sum() == 0:
                continue
            share *= self.settings.synthetic if group == "synthetic" else 1 - self.settings.synthetic
            total += share * weight / weight.sum()
        return total.to(self.device)

    def uniform(self, *shape, low=0.0, high=1.0):
        return torch.rand(*shape, device=self.device) * (high - low) + low

    def chance(self, *shape, p):
        return torch.rand(*shape, device=self.device) < p

    def pick(self, table, *shape):
        return table[torch.randint(len(table), shape, device=self.device)]

    def cut_speech(self, *shape):
        """Stretches of other speech: where their clip lies, its peak, and first and last sample in it [*shape] each.

        A clip's share grows with its length. `starts` of the stretches begin with speech after a pause.
        """
        which = torch.multinomial(self.speech[:, 1].float(), math.prod(shape), True).view(shape)
        at, length, peak = self.speech[which].unbind(-1)
        longest = torch.where(self.chance(*shape, p=0.5), min(4.0, self.settings.speech_length), self.settings.speech_length)
        span = torch.minimum((0.3 + self.uniform(*shape) * (longest - 0.3)) * RATE, length * 0.9)
        anywhere = self.uniform(*shape) * (length - span)
        onset = self.onsets[which, (self.uniform(*shape) * self.onset_count[which]).long()].float()
        first = torch.where(self.chance(*shape, p=self.settings.starts), onset, anywhere)
        return at, peak, first, torch.minimum(first + span, length.float())

    def cut_noise(self, *shape):
        """Bursts of noise, in the form of cut_speech."""
        at, length, peak = self.pick(self.noise_short, *shape).unbind(-1)
        span = torch.minimum(self.uniform(*shape, low=0.04, high=1.5) * RATE, length * 0.9)
        first = self.uniform(*shape) * (length - span)
        return at, peak, first, first + span

    def batch(self, stream_count, position_count):
        """mel [B, 128, 8 (32 + N)], ids [B, 32 + N], targets, weights alike, delay [B]."""
        script = self.write_script(stream_count, position_count)
        speech, loudness = self.speak(script, position_count * POSITION_SAMPLES)
        noise, noise_colour = self.make_noise(loudness, position_count * POSITION_SAMPLES)
        mel = self.listen(script, speech, noise, noise_colour)
        return (self.mask(mel), *self.targets(script, position_count))

    def write_script(self, stream_count, position_count):
        """Who says what when: [B, K] slots of words, unknown words, stretches of other speech and bursts of noise."""
        b, k = stream_count, int(position_count * 0.08 / 0.5) + 4
        # talk with some negatives, half and half, mostly other people's talk, nothing at all
        mode = torch.multinomial(torch.tensor([0.58, 0.22, 0.10, 0.10], device=self.device), b, True)
        unknown = torch.tensor([0.08, 0.18, 0.30, 0.0], device=self.device)[mode, None] * self.unknown_share
        other = torch.tensor([0.05, 0.20, 0.50, 0.0], device=self.device)[mode, None]
        other = other * self.settings.negatives * self.settings.speech
        burst = torch.tensor([0.06, 0.10, 0.15, 0.0], device=self.device)[mode, None] * self.settings.burst_slots
        draw = self.uniform(b, k)
        is_other, is_unknown = draw < other, (draw >= other) & (draw < other + unknown)
        is_burst = (draw >= other + unknown) & (draw < other + unknown + burst)
        word = torch.multinomial(self.word_weights, b * k, True).view(b, k)
        negative = torch.multinomial(self.unknown_weights, b * k, True).view(b, k)
        at, length, start, end, label, peak = self.rows[torch.where(is_unknown, negative, word)].unbind(-1)
        first = (start - self.uniform(b, k, low=0.01, high=0.14) * RATE).clamp(min=0)
        last = torch.minimum(end + self.uniform(b, k, low=0.02, high=0.25) * RATE, length.float())
        for chosen, piece in ((is_other, self.cut_speech(b, k)), (is_burst, self.cut_noise(b, k))):
            at, peak, first, last = (torch.where(chosen, new, old) for new, old in zip(piece, (at, peak, first, last)))
            label = torch.where(chosen, -1, label)
        speed = torch.exp(torch.randn(b, k, device=self.device) * 0.09).clamp(0.8, 1.25)
        duration = (last - first) / speed
        draw = self.uniform(b, k)
        gap = torch.where(draw < 0.5, self.uniform(b, k, low=0.03, high=0.4),
                          torch.where(draw < 0.92, self.uniform(b, k, low=0.3, high=1.0),
                                      self.uniform(b, k, low=1.0, high=4.0))) * RATE
        gap = gap * torch.where(self.chance(b, 1, p=0.2), 2.0, 1.0)
        lead = torch.where(self.chance(b, p=0.85), self.uniform(b, high=0.8), self.uniform(b, high=4.0)) * RATE
        begin = lead[:, None] + torch.cumsum(duration + gap, 1) - (duration + gap)
        begin = torch.where((mode == 3)[:, None], 1e9, begin)
        return dict(at=at, first=first, duration=duration, speed=speed, begin=begin, label=label, peak=peak,
                    word_end=begin + (end - first) / speed, is_burst=is_burst, is_talk=is_other | is_unknown)

    def speak(self, script, sample_count):
        """The dry and reverberant speech [B, samples] and its mean power [B] while somebody speaks."""
        b = len(script["at"])
        time = torch.arange(sample_count, device=self.device, dtype=torch.float32)
        slot = torch.searchsorted(script["begin"].contiguous(), time.expand(b, -1).contiguous(), right=True) - 1
        here = slot.clamp(min=0)
        of = lambda name: torch.gather(script[name].float(), 1, here)
        into = time - of("begin")
        left = of("duration") - into
        speaking = (slot >= 0) & (left > 1)
        place = of("first") + into * of("speed")
        whole = place.floor()
        part = place - whole
        index = torch.gather(script["at"], 1, here) + whole.long()
        index = torch.where(speaking, index, 2).clamp(1, self.samples.numel() - 3)
        y0, y1, y2, y3 = (self.samples[index + j].float() for j in (-1, 0, 1, 2))  # Catmull-Rom
        x = y1 + 0.5 * part * (y2 - y0 + part * (2 * y0 - 5 * y1 + 4 * y2 - y3 + part * (3 * (y1 - y2) + y3 - y0)))
        shape = script["at"].shape
        level = torch.where(self.chance(b, p=self.settings.quiet), self.uniform(b, low=-56, high=-16),
                            self.uniform(b, low=-20, high=-1))[:, None] + torch.randn(shape, device=self.device) * 3
        level = level - script["is_burst"] * self.uniform(*shape, low=-3, high=25)
        gain = 10 ** (level.clamp(max=0) / 20) / script["peak"].float()
        ramp = (into / 120).clamp(0, 1) * (left / 120).clamp(0, 1)
        x = x * torch.gather(gain, 1, here) * ramp * speaking
        power = (x * x).sum(1) / speaking.float().sum(1).clamp(min=RATE)
        power = torch.where(power > 0, power, 10 ** (self.uniform(b, low=-60, high=-20) / 10))
        return self.reverberate(x), power

    def reverberate(self, x):
        """A quarter of the streams get a room: exponential tail, T60 0.06 to 0.5 s, 2 to 16 dB under the direct sound."""
        count, length = len(x) // 4, 6400
        if count == 0:
            return x
        time = torch.arange(length, device=self.device) / RATE
        tail = torch.randn(count, length, device=self.device) * (time > 0.002)
        tail = tail * torch.exp(-6.9 * time / self.uniform(count, 1, low=0.06, high=0.5))
        room = tail / tail.norm(dim=1, keepdim=True) * 10 ** (-self.uniform(count, 1, low=2, high=16) / 20)
        room[:, 0] = 1
        total = x.shape[1] + length
        total += -total % 1000
        wet = torch.fft.irfft(torch.fft.rfft(x[:count], total) * torch.fft.rfft(room, total), total)
        return torch.cat([wet[:, :x.shape[1]], x[count:]])

    def make_noise(self, speech_power, sample_count):
        """Noise [B, samples] at a random ratio under the speech, and the tilt of its spectrum [B, 201].

        Recorded noise, babble of three, or white noise that the tilt colours; in `bursts` of the streams it is cut on and
        off, because a model that has heard only steady noise takes its switching for words.
        """
        b = len(speech_power)
        time = torch.arange(sample_count, device=self.device)
        kind = torch.multinomial(torch.tensor([0.45, 0.12, 0.43], device=self.device), b, True)

        def loop(table):
            row = self.pick(table, b)
            at = (self.uniform(b) * row[:, 1]).long()
            return self.samples[row[:, :1] + (at[:, None] + time) % row[:, 1:2]].float() / row[:, 2:3]

        recorded, white = loop(self.noise), torch.randn(b, sample_count, device=self.device)
        babble = loop(self.speech) + loop(self.speech) + loop(self.speech)
        noise = torch.where((kind == 0)[:, None], recorded, torch.where((kind == 1)[:, None], babble, white))
        ratio = torch.where(self.chance(b, p=0.7), self.uniform(b, low=1, high=25), self.uniform(b, low=25, high=60))
        ratio = torch.where(kind == 1, ratio.clamp(min=8), ratio)
        noise = noise * torch.sqrt(speech_power / (noise * noise).mean(1).clamp(min=1e-12) * 10 ** (-ratio / 10))[:, None]
        noise = noise * self.chance(b, 1, p=0.8) * self.switch(b, sample_count)
        tilt = -self.frequency ** 0.35 * self.uniform(b, 1, low=-10, high=45)
        colour = 10 ** (torch.where((kind == 2)[:, None], tilt, 0.0) / 20)
        return noise, colour / (colour * colour).mean(1, keepdim=True).sqrt()

    def switch(self, b, sample_count):
        """[B, samples] gains 0..1 (or a lower level instead of 0), constant 1 for streams with steady noise."""
        count = 64
        span = torch.exp(self.uniform(b, count, low=math.log(0.04), high=math.log(3.0))) * RATE
        edges = torch.cumsum(span, 1)
        time = torch.arange(sample_count, device=self.device, dtype=torch.float32)
        piece = torch.searchsorted(edges.contiguous(), time.expand(b, -1).contiguous()).clamp(max=count - 1)
        low = torch.where(self.chance(b, 1, p=0.6), 0.0, 10 ** (-self.uniform(b, 1, low=6, high=40) / 20))
        level = torch.where(self.chance(b, count, p=0.5), 1.0, low.expand(-1, count))
        level = level * 10 ** (self.uniform(b, count, low=-8, high=4) / 20)
        gain = torch.gather(level, 1, piece)
        smooth = 2 * int(self.uniform(1, low=4, high=200)) + 1
        gain = F.avg_pool1d(F.pad(gain[:, None], (smooth // 2, smooth // 2), mode="replicate"), smooth, 1)[:, 0]
        return torch.where(self.chance(b, 1, p=self.settings.bursts), gain, 1.0)

    def response(self, *shape):
        """A smooth random frequency response in dB [*shape, 201], sometimes with a band limit at either end."""
        f = self.frequency
        db = sum(torch.randn(*shape, 1, device=self.device) * 3.5 / math.sqrt(n) * torch.cos(math.pi * n * f)
                 for n in (1, 2, 3, 4))
        edge, slope = self.uniform(*shape, 1, low=0.34, high=0.8), self.uniform(*shape, 1, low=200, high=1500)
        db = db - self.chance(*shape, 1, p=0.25) * ((f - edge) * slope).clamp(0, 70)
        edge = self.uniform(*shape, 1, low=0, high=0.05)
        return db - self.chance(*shape, 1, p=0.3) * ((edge - f) * 800).clamp(0, 40)

    def listen(self, script, speech, noise, noise_colour):
        """Microphone, room response and features: [B, 128, frames], the left pad in front."""
        b, pad = len(speech), LEFT_PAD * POSITION_SAMPLES
        heard, disturbed = (spectrum(F.pad(x, (pad, 0)), self.window) for x in (speech, noise))
        centre = torch.arange(heard.shape[-1], device=self.device, dtype=torch.float32) * 160 - pad + 600
        slot = (torch.searchsorted(script["begin"].contiguous(), centre.expand(b, -1).contiguous(), right=True) - 1).clamp(min=0)
        per_word = 10 ** (self.response(*script["at"].shape) * 0.6 / 20)
        per_word = torch.gather(per_word, 1, slot[..., None].expand(-1, -1, 201)).transpose(1, 2)
        microphone = self.response(b)
        limit = self.uniform(b, 1, low=0.40, high=0.50)
        microphone = microphone - self.chance(b, 1, p=self.settings.narrow) * ((self.frequency - limit) * 4000).clamp(0, 90)
        y = (heard * per_word + disturbed * noise_colour[:, :, None]) * 10 ** (microphone / 20)[:, :, None]
        bank = torch.where(self.chance(b, p=0.3), 6, torch.randint(13, (b,), device=self.device))
        return log_mel(y.abs() ** 2, self.banks[bank])

    def mask(self, mel):
        """SpecAugment: up to two bands of 16 bins and six stretches of 80 ms become the stream's mean."""
        b, bins, frames = mel.shape
        mean = mel.mean(dim=(1, 2), keepdim=True)
        bin_index = torch.arange(bins, device=self.device)[None, :, None]
        frame_index = torch.arange(frames, device=self.device)[None, None, :]
        for _ in range(2):
            width = self.uniform(b, 1, 1, high=16) * self.chance(b, 1, 1, p=0.5)
            low = self.uniform(b, 1, 1) * (bins - width)
            mel = torch.where((bin_index >= low) & (bin_index < low + width), mean, mel)
        for _ in range(6):
            width = self.uniform(b, 1, 1, high=8)
            low = LEFT_PAD * 8 + self.uniform(b, 1, 1) * (frames - LEFT_PAD * 8)
            mel = torch.where((frame_index >= low) & (frame_index < low + width), mean, mel)
        return mel

    def targets(self, script, position_count):
        """WORD at 32 + ceil(word end / 80 ms) + delay, the word's id one position later, PAD everywhere else."""
        b = len(script["at"])
        delay = torch.randint(1, 17, (b,), device=self.device)
        delay = torch.where(delay == 16, 30, delay)
        delay = torch.where(self.chance(b, p=0.2), 6, delay)
        count = LEFT_PAD + position_count
        at = LEFT_PAD + torch.ceil(script["word_end"] / POSITION_SAMPLES).long() + delay[:, None]
        said = (script["label"] >= 0) & (script["word_end"] < position_count * POSITION_SAMPLES) & (at < count)
        ids = torch.full((b, count + 2), PAD, device=self.device)
        trash = torch.full_like(at, count + 1)
        ids.scatter_(1, torch.where(said & (at + 1 <= count), at + 1, trash), script["label"].clamp(min=0) + FIRST_WORD_ID)
        ids.scatter_(1, torch.where(said, at, trash), torch.full_like(at, WORD))
        ids[:, 0] = BOS
        inputs, targets = ids[:, :count].contiguous(), ids[:, 1:count + 1].clone()
        refused = torch.where(self.over_talk(script, count, delay), self.settings.speech_weight, 1.0)
        weights = torch.where(targets == PAD, self.settings.pad_weight * refused, 1.0)
        after_prompt = torch.arange(count, device=self.device)[None] >= (LEFT_PAD + delay)[:, None]
        return inputs, targets, weights * after_prompt, delay

    def over_talk(self, script, count, delay):
        """[B, count]: the positions that decide about a sample of other speech or unknown words, or about 160 ms after it."""
        heard = (torch.arange(count, device=self.device)[None] - LEFT_PAD - delay[:, None]) * float(POSITION_SAMPLES)
        slot = (torch.searchsorted(script["begin"].contiguous(), heard.contiguous(), right=True) - 1).clamp(min=0)
        over = heard - torch.gather(script["begin"], 1, slot) < torch.gather(script["duration"], 1, slot) + 2 * POSITION_SAMPLES
        return over & torch.gather(script["is_talk"], 1, slot) & (heard >= torch.gather(script["begin"], 1, slot))
