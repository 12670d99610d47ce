"""Every limit that a verdict depends on, in one place, each with where it is from."""

from dataclasses import dataclass, field

_CALIBRATION = "small trials on real recordings; not calibrated yet"
_PEERS = "public notes of a peer (Castwright)"
_ACX = "ACX audio submission requirements"


def _limit(value: float, source: str) -> float:
    """Declare a threshold together with where it is from."""
    threshold: float = field(default=value, metadata={"source": source})
    return threshold


@dataclass(frozen=True, slots=True)
class Thresholds:
    """Every limit that a verdict depends on; units are in the names."""

    voice_similarity_least: float = _limit(0.775, _CALIBRATION)
    voice_to_prompt_least: float = _limit(
        0.70, "GE2E on speech kept aside: below it, some other voice"
    )
    voice_speech_share_least: float = _limit(0.5, "half a window of speech: " + _CALIBRATION)
    voice_chapter_least: float = _limit(
        0.85, "one narrator's chapters keep above it: " + _CALIBRATION
    )
    pitch_chapter_most_semitones: float = _limit(1.3, _CALIBRATION)
    tempo_chapter_most_share: float = _limit(
        0.1,
        "learning half: 16 sections stay within 2.4 %; 20 % faster or slower shows as 15 % and more",
    )
    pitch_shift_most_semitones: float = _limit(
        1.13,
        "learning half and a told story of 0.8 h: at most 1.11 and 1.07 undamaged",
    )
    pitch_short_s: float = _limit(
        140.0, "seven spans and more, from which five slopes can be learned in part"
    )
    pitch_short_most_semitones: float = _limit(
        1.4, "in shorter recordings: at most 1.27 in three chapters told in two minutes each"
    )
    pitch_drift_most_semitones_per_10_min: float = _limit(1.0, _CALIBRATION)
    tempo_change_most_share: float = _limit(
        0.133, "learning half: 0.7 h undamaged stay under 13.2 %; 20 % faster shows as 19.6 %"
    )
    tempo_least_s: float = _limit(
        100.0, "four spans and more, so that one does not make the median"
    )
    word_doubt_most_nats: float = _limit(
        8.3,
        "learning half, weighed by the distance in phones: 32 of 38 words replaced are over 9.5, all but two "
        "places of 6,357 words read right under 7.6",
    )
    unspoken_share_most: float = _limit(
        0.35,
        "learning half: 40 sentences skipped are over 0.46; nothing passed over in 6,357 words",
    )
    take_word_errors_most: float = _limit(
        0.05,
        "of those tried, the one that an independent recogniser bears out: `lectern bench takes`",
    )
    take_similarity_least: float = _limit(0.775, "as voice_similarity_least")
    naturalness_least: float = _limit(
        2.0, "well under the worst excerpts of real speech: " + _CALIBRATION
    )
    pause_most_s: float = _limit(
        1.9, "learning half: pauses of 2 s laid in are above it, most between paragraphs under it"
    )
    meant_pause_most_s: float = _limit(
        4.0, "learning half: after the headings of 13 chapters people pause for up to 3.4 s"
    )
    speech_over_noise_least_db: float = _limit(
        27.5, "learning half: 110 of 110 noises at 15 dB found, none in 1.07 h undamaged"
    )
    click_least_db: float = _limit(
        9.5, "learning half: 110 clicks 12 dB over the local peak, 108 over 10.3; 9.0 undamaged"
    )
    click_most_ms: float = _limit(
        0.15,
        "or three samples; learning half: all of 110 clicks are within it, 4 of the tongue's wider",
    )
    click_ring_most_db: float = _limit(
        13.5,
        "learning half: at most 10.8 after 110 clicks laid in, up to 17 after the tongue's own",
    )
    clipped_peaks_most_per_s: float = _limit(
        0.5, "75 undamaged recordings of the learning half: at most 0.25; 70 clipped: at least 0.75"
    )
    dc_most_dbfs: float = _limit(-40.0, "1 % of full scale, where an offset costs headroom")
    hum_most_dbfs: float = _limit(-60.0, "the noise floor of " + _ACX)
    hum_prominence_most_db: float = _limit(15.0, _CALIBRATION)
    hum_least_s: float = _limit(30.0, "in less, a steady voice passes for hum: " + _CALIBRATION)
    joint_p_least: float = _limit(0.001, "one book in a thousand by chance")
    joint_excess_most_db: float = _limit(
        2.5,
        "ten minutes six times: at most 1.9 where clips begin by themselves, at least 2.6 where each "
        "lacks its first 60 ms",
    )
    speech_least_dbfs: float = _limit(-50.0, _PEERS + ": RMS under .003 is dead air")
    window_least_s: float = _limit(3.0, _PEERS + "; one speaker window")
    rms_least_dbfs: float = _limit(-23.0, _ACX)
    rms_most_dbfs: float = _limit(-18.0, _ACX)
    peak_most_dbfs: float = _limit(-3.0, _ACX)
    floor_most_dbfs: float = _limit(-60.0, _ACX)
    head_least_s: float = _limit(0.5, _ACX)
    head_most_s: float = _limit(1.0, _ACX)
    tail_least_s: float = _limit(1.0, _ACX)
    tail_most_s: float = _limit(5.0, _ACX)
    length_most_s: float = _limit(7200.0, _ACX)
