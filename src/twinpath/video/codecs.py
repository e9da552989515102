"""The codecs that Twinpath reads. FFmpeg has decoders for more than 500, many of them old and little tested.

Codecs are named as FFmpeg names them (`codec.canonical_name`); decoders may have other names. FFmpeg is given
a list of these, so that it opens no other one, not even to look into a file.
"""

from __future__ import annotations

#: Video codecs: of cameras, phones, the web, editing, archives, and what older recordings are kept in.
VIDEO_CODECS = frozenset(
    {
        *("h264", "hevc", "av1", "vp8", "vp9", "mpeg4", "mjpeg"),
        *("mpeg1video", "mpeg2video", "dvvideo", "h263", "h263p", "h263i", "theora"),
        *("msmpeg4v1", "msmpeg4v2", "msmpeg4v3", "wmv1", "wmv2", "wmv3", "vc1"),
        *("flv1", "vp6", "vp6a", "vp6f", "svq1", "svq3"),
        *("prores", "dnxhd", "cfhd", "jpeg2000", "ffv1", "huffyuv", "ffvhuff", "utvideo", "qtrle"),
        *("rawvideo", "v210", "gif", "png"),
    }
)

#: Audio codecs: for the sound of an annotated video. Others are left out there.
AUDIO_CODECS = frozenset(
    {
        *("aac", "mp3", "mp2", "mp1", "ac3", "eac3", "opus", "vorbis", "flac", "alac", "speex"),
        *("wmav1", "wmav2", "wmapro", "amr_nb", "amr_wb", "dts", "truehd", "mlp", "nellymoser", "qdm2"),
        *("adpcm_ima_wav", "adpcm_ima_qt", "adpcm_ms", "adpcm_swf", "adpcm_g722", "adpcm_g726"),
        *("pcm_alaw", "pcm_mulaw", "pcm_u8", "pcm_s8", "pcm_s16le", "pcm_s16be", "pcm_s24le", "pcm_s24be"),
        *("pcm_s32le", "pcm_s32be", "pcm_f32le", "pcm_f32be", "pcm_f64le", "pcm_bluray", "pcm_dvd"),
    }
)

# Decoders whose names differ from those of their codecs.
_DECODERS = frozenset(
    {
        *("libdav1d", "libaom-av1", "libvpx", "libvpx-vp9", "flv", "msmpeg4", "libtheora"),
        *("mp3float", "mp2float", "mp1float", "libopus", "libvorbis", "libspeex", "dca"),
        *("amrnb", "amrwb", "libopencore_amrnb", "libopencore_amrwb", "g722", "g726"),
    }
)

#: FFmpeg's list of the decoders that it may open.
CODEC_WHITELIST = ",".join(sorted(VIDEO_CODECS | AUDIO_CODECS | _DECODERS))
