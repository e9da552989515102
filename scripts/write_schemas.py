"""Write docs/schemas.md, the fields of all JSON that the commands print or write. Run: make docs

Tables of result classes come from their annotations and docstrings; those of other objects are written out
below. Tests compare both with what the code gives, and the page with this script (tests/unit/test_docs.py).
"""

from __future__ import annotations

from scripts.schema_fields import Fields, Rows, Schema
from scripts.write_api_reference import ROOT

PAGE = ROOT / "docs" / "schemas.md"

VIDEO = ("video", "string", "The path as given.")
LABELS = ("labels", "array of string, null", "The labels that were asked for; null: all.")

SCHEMAS: dict[str, Schema] = {
    "error": Schema(
        "Errors",
        "In a batch, an input that fails gives an object with `video` (or `name`, of a weight file) and "
        "`error` in place of "
        "the result. A single input that fails prints no JSON: its error is one line on stderr, and the "
        "exit code.",
        Rows(
            (
                ("type", "string", "A class of [`twinpath.errors`](api/errors.md), or OSError."),
                ("message", "string", "One line: what was given, what is allowed, and where."),
            )
        ),
    ),
    "skipped": Schema(
        "Skipped files",
        "The last object of a run over a folder in which files were passed over. It has no `video`.",
        Rows((("skipped", "object of integer", "By ending: the number of files that are no videos."),)),
    ),
    "provenance": Schema(
        "Provenance",
        "What a result was made from. Two results with the same provenance, apart from `versions`, are "
        "interchangeable; "
        "commands resume by it.",
        Fields("twinpath.results.provenance", "Provenance"),
    ),
    "file": Schema("FileFacts", "", Fields("twinpath.results.provenance", "FileFacts"), level=3),
    "classification": Schema(
        "Classification",
        "`twinpath classify --json` prints one for each video. `twinpath classify --out FILE` writes the "
        "same as lines of "
        "FILE, each with a [`provenance`](#provenance).",
        Fields(
            "twinpath.results.classification",
            "Classification",
            more=(("label", "string", 'The best label; "unknown" where its score is below `min_score`.'),),
            instead={"timing_s": ("object of number", "Seconds for `load`, `decode` and `infer`.")},
        ),
    ),
    "prediction": Schema(
        "Prediction",
        "",
        Rows(
            (
                ("label", "string", "Name of the class."),
                ("index", "integer", "Its logit, from 0."),
                ("score", "number", "0 to 1."),
            )
        ),
        level=3,
    ),
    "timeline": Schema(
        "Timeline",
        "`twinpath timeline` writes `….timeline.json`. With `--json` it prints the same for each video "
        "without `windows`, "
        "with `files`: the paths of the files by kind.",
        Rows(
            (
                VIDEO,
                ("duration_s", "number", "Of the video."),
                (
                    "first_frame_s",
                    "number",
                    "When a player shows the first frame, on its clock; all other times count from there.",
                ),
                ("complete", "boolean", "Whether the whole video was scored."),
                ("done_s", "number", "Up to where the video was scored."),
                ("model", "string", "Full name of network and weights."),
                (
                    "weights_sha256",
                    "string, null",
                    "Of a weight file that was given in place of the published one.",
                ),
                ("engine", "string", "Engine, version, device and precision."),
                ("settings", "object", "[Settings](#settings) of the segments."),
                ("window_s", "number", "Length of a window."),
                ("warnings", "array of string", "About the video file or the model; often empty."),
                ("versions", "object of string", "Versions of Twinpath, Python, PyAV and NumPy."),
                ("segments", "array of [Segment](#segment)", "In the order of their starts."),
                ("windows", "array of [Window](#window)", "In order of time; in the file only."),
            )
        ),
    ),
    "settings": Schema(
        "Settings",
        "",
        Rows(
            (
                ("every_s", "number", "From the start of a window to that of the next."),
                ("min_score", "number", "The smoothed score at which a segment begins."),
                ("leave_score", "number", "The smoothed score below which it ends."),
                ("merge_s", "number", "Segments of one label with a gap up to this are one."),
                ("smooth_s", "number", "Scores are averaged up to this to either side."),
                LABELS,
                ("top_k", "integer", "Labels of each window."),
            )
        ),
        level=3,
    ),
    "segment": Schema("Segment", "", Fields("twinpath.results.segments", "Segment"), level=3),
    "window": Schema(
        "Window",
        "",
        Rows(
            (
                ("start_s", "number", "Its start, in seconds since the first frame."),
                ("end_s", "number", "Its end."),
                ("top", "array of object", "`label` and `score` of the best labels, best first."),
            )
        ),
        level=3,
    ),
    "detections": Schema(
        "Detections",
        "`twinpath detect` writes `….detect.json`, with `versions` and [`provenance`](#provenance), and "
        "`twinpath detect "
        "--json` prints one for each video, with `files`: the paths of the files by kind.",
        Fields("twinpath.results.detections", "Detections"),
    ),
    "track": Schema("Track", "", Fields("twinpath.results.detections", "Track"), level=3),
    "track_point": Schema(
        "TrackPoint",
        "",
        Fields(
            "twinpath.results.detections",
            "TrackPoint",
            more=(("box_xyxy", "array of 4 numbers", "The box as fractions of width and height, 0 to 1."),),
        ),
        level=3,
    ),
    "stream": Schema(
        "Stream",
        '`twinpath stream --json` prints one for each window, with `event`: `"window"`, `source` and '
        "`model`. With a "
        "detection model, `people` (array of [Track](#track) with one point each, whose boxes are in "
        "pixels only) is in "
        "place of `predictions`.",
        Rows(
            (
                ("start_s", "number", "Start of the window, in seconds since the first frame."),
                ("end_s", "number", "Its end."),
                ("utc", "string", "ISO 8601: when its newest frame was due here."),
                (
                    "predictions",
                    "array of [Prediction](#prediction)",
                    "Best first; empty below `--min-score`.",
                ),
                ("latency_s", "number", "Age of the newest frame when the result was ready."),
                ("frames_read", "integer", "Frames that came: used, dropped and waiting."),
                ("frames_used", "integer", "Frames in a window that was classified."),
                ("frames_dropped", "integer", "Frames that were in none."),
                ("frames_waiting", "integer", "Frames that are kept and may still be in one."),
                ("windows", "integer", "Windows classified."),
                (
                    "windows_skipped",
                    "integer",
                    "Windows that were due while another one was being classified.",
                ),
            )
        ),
    ),
    "stream_end": Schema(
        "Stream end",
        'The last line, with `event`: `"end"`, `source`, `model`, and the counters of a window.',
        Rows(
            (
                ("reason", "string", "Why it ended."),
                ("latency_mean_s", "number", "Mean of `latency_s`."),
                ("latency_max_s", "number", "Maximum of `latency_s`."),
                ("reconnects", "integer", "How often the source was opened again."),
                ("packets_damaged", "integer", "Packets that did not decode."),
                ("frames_written", "integer", "With `--annotate`: frames in the file."),
                (
                    "frames_left_out",
                    "integer",
                    "With `--annotate`: frames for which the encoder was too slow.",
                ),
            )
        ),
        level=3,
    ),
    "features": Schema(
        "Features",
        "`twinpath features --json` prints one for each video; the embeddings are in the file.",
        Rows(
            (
                VIDEO,
                ("clips", "integer", "Embeddings of this video in the file."),
                ("warnings", "array of string", "About the video file; often empty."),
            )
        ),
    ),
    "explanation": Schema(
        "Explanation",
        "`twinpath explain --json` prints one for each video, and writes it to a file with `provenance`.",
        Rows(
            (
                VIDEO,
                ("model", "string", "Full name."),
                ("label", "string", "Whose score is explained."),
                ("score", "number", "Of that label, 0 to 1."),
                ("best_label", "string", "What the model answers."),
                ("best_score", "number", "Its score."),
                ("box_xyxy_px", "array of number", "Of the person, with a detection model; or null."),
                ("peak_s", "number", "When the score needs the movement most, in seconds."),
                ("times_s", "array of number", "Of the frames of the clip."),
                ("losses", "array of number", "What the logit loses where the frames near each stand still."),
                ("where", "object", "Of each map: its share at each frame, and its `center_xy` in the crop."),
                ("score_without", "object", "The score with one pathway seeing grey; empty for one pathway."),
                ("faithfulness", "object", "Of the map and a random one, and whether it `beats_random`."),
                ("files", "object", "Names of the files that were written, by their ending."),
                ("provenance", "object", "Of the file, the model and the settings."),
                ("warnings", "array of string", "About the file, and about the explanation; often empty."),
            )
        ),
    ),
    "data_check": Schema(
        "Checked data",
        "`twinpath data check --json`, with `files`: the paths that were written; and `data.json`.",
        Rows(
            (
                ("kind", "string", "What was read: folder of classes, CSV, segments."),
                ("multi_label", "boolean", "Whether a clip may have several classes, or none."),
                ("clips", "integer", "In the data."),
                ("usable", "integer", "Of these, how many can be read."),
                ("videos", "array of [CheckedVideo](#checkedvideo)", "Those that can be read."),
                ("unusable", "array of [Unusable](#unusable)", "Videos and clips that cannot be used."),
                ("total_s", "number", "Seconds of all usable clips."),
                ("groups", "integer", "Of the usable clips."),
                ("classes", "array of [CheckedClass](#checkedclass)", "In order of a network's outputs."),
                ("copies", "array of [Copies](#copies)", "Clips that are the same; equal files first."),
                (
                    "scenes",
                    "array of array of object",
                    "Sets of clips (as in copies) that likely show one scene, and are in several groups.",
                ),
                ("similar_labels", "array of array of string", "Pairs of names that are likely one class."),
                ("problems", "array of string", "What should be looked at, the worst first; often empty."),
                ("notes", "array of string", "What was noticed when the data was listed; often empty."),
                ("skipped", "object", "By ending: how many files in folders were passed over."),
            )
        ),
    ),
    "checked_video": Schema(
        "CheckedVideo",
        "",
        Rows(
            (
                ("path", "string", "The file, or the folder of frames."),
                ("duration_s", "number", "From the first frame to the end of the last one."),
                ("width_px", "integer", "As displayed."),
                ("height_px", "integer", "As displayed."),
                ("fps", "number, null", "Frames per second; null: a raw stream, which has no clock."),
                ("codec", "string", "Of the video."),
                ("container", "string", "By the file's content; frames: a folder of pictures."),
                ("size_bytes", "integer", "Of the file."),
                ("sha256", "string, null", "Of the file, where another one has the same size."),
                ("warnings", "array of string", "What is wrong although it can be read; often empty."),
            )
        ),
        level=3,
    ),
    "unusable": Schema(
        "Unusable",
        "",
        Fields("twinpath.data.labelled.check", "Unusable", instead={"path": ("string", "The video.")}),
        level=3,
    ),
    "checked_class": Schema(
        "CheckedClass",
        "",
        Fields(
            "twinpath.data.labelled.check",
            "CheckedClass",
            instead={
                "parts": (
                    "object",
                    "Of the usable ones, how many are in `train`, `validation`, `test`; `unsaid`: not said.",
                )
            },
        ),
        level=3,
    ),
    "copies": Schema(
        "Copies",
        "",
        Rows(
            (
                ("clips", "array of object", "`path`, `start_s`, `end_s` and `labels` of each."),
                ("exact", "boolean", "Whether the files are equal byte for byte."),
                ("likeness", "number", "Of the least alike neighbours among them, up to 1."),
                ("later_s", "number, null", "Of two: where the second one begins in the first one."),
                ("contradict", "boolean", "Whether they have different labels."),
                ("leak", "boolean", "Whether they are in different groups or parts."),
            )
        ),
        level=3,
    ),
    "evaluation_clips": Schema(
        "Evaluation on synthetic clips",
        "`twinpath evaluate --json` with a classification model, with `model`, `clips` and `seed`.",
        Fields("twinpath.evaluate.synthetic_clips", "Summary"),
    ),
    "confusion": Schema(
        "Confusion",
        "",
        Rows(
            (
                ("truth", "string", "The true action."),
                ("answer", "string", "The action that was predicted."),
                ("count", "integer", "How often."),
            )
        ),
        level=3,
    ),
    "evaluation_labelled": Schema(
        "Evaluation of labelled videos",
        "`twinpath evaluate MODEL --data DATA --json`, with `model`, `data`, `views` and `files`: the paths "
        "that were written. `report.json` has it as `summary`, with the [clips](#report) that it is of.",
        Fields(
            "twinpath.results.evaluation",
            "EvaluationSummary",
            instead={"confusion": ("array of array, null", "Clips by true class (row) and answer.")},
        ),
    ),
    "class_figures": Schema(
        "ClassFigures", "", Fields("twinpath.results.evaluation", "ClassFigures"), level=3
    ),
    "calibration_bin": Schema(
        "CalibrationBin", "", Fields("twinpath.results.evaluation", "CalibrationBin"), level=3
    ),
    "evaluation_report": Schema(
        "Report",
        "`report.json` of `twinpath evaluate --data --out` and of `twinpath finetune`.",
        Rows(
            (
                ("summary", "[object](#evaluation-of-labelled-videos)", "The figures."),
                ("notes", "array of string", "What a reader should know; often empty."),
                (
                    "explained",
                    "array of object",
                    "Mistakes with maps in the page: `path`, span, `model`; of each of its `labels` score, "
                    "`peak_s`, `score_without`; or the `error`. Empty without `--explain`.",
                ),
                ("model", "string", "Full name of network and weights, or of the folder."),
                ("data", "string", "What the data set is."),
                ("views", "string", "Spatial crops x temporal clips."),
                ("labels", "array of string", "Of the model."),
                ("is_multi_label", "boolean", "Whether a clip may have several classes, or none."),
                ("clips", "array of object", "`path`, `part`, `truth`, the best `answers` … of each."),
                ("learned_from", "array of object", "The same of clips that were not evaluated."),
                ("failed", "array of object", "`path` and `reason` of files that could not be used."),
                ("provenance", "[Provenance](#provenance), null", "What it was made from."),
            )
        ),
        level=3,
    ),
    "evaluation_scenes": Schema(
        "Evaluation on synthetic scenes",
        "`twinpath evaluate --json` with a detection model.",
        Rows(
            (
                ("model", "string", "Full name of network and weights."),
                ("scenes", "integer", "How many were made."),
                ("seed", "integer", "Of the first one."),
                ("people", "integer", "People at keyframes, in their true boxes."),
                ("frame_map", "number", "Frame mAP@0.5, 0 to 1."),
                ("by_action", "object of number", "Average precision of each action."),
            )
        ),
    ),
    "evaluation_ava": Schema(
        "Evaluation on AVA",
        "`twinpath evaluate --dataset ava --json`. `keyframes`, `people` and `failures` are there if a "
        "model was run, "
        "`results` if a file of results was given.",
        Rows(
            (
                ("dataset", "string", '"ava".'),
                ("model", "string", "Full name of network and weights."),
                ("engine", "string", "Engine, version, device and precision."),
                ("results", "string", "Path of the file of results."),
                ("map", "number", "Frame mAP@0.5, 0 to 1."),
                (
                    "by_action",
                    "array of object",
                    "`id`, `action`, `average_precision` and `true_boxes` of each.",
                ),
                ("notes", "array of string", "What was unusual in the annotations or results."),
                ("keyframes", "integer", "Scored."),
                ("people", "integer", "Scored."),
                ("failures", "array of object", "`video`, and what of it could not be used and why."),
            )
        ),
    ),
    "models_weights": Schema(
        "Models",
        "`twinpath models list --json` prints one for each weight file, `twinpath models info NAME "
        "--json` one.",
        Rows(
            (
                ("name", "string", "Network, upstream and data set."),
                ("architecture", "string", "The network, as in `create_model`."),
                ("family", "string", "For example slowfast."),
                ("task", "string", '"classification" or "detection".'),
                ("upstream", "string", "Who published it."),
                ("upstream_name", "string", "Its name there."),
                ("dataset", "string", "That it was trained on."),
                ("num_classes", "integer", "Logits."),
                (
                    "labels",
                    "string, null",
                    "The labels, for `twinpath labels`; null: not part of this package.",
                ),
                ("num_frames", "integer", "Frames of a clip."),
                ("sampling_rate", "integer", "Frames of a 30 fps video for one of the clip."),
                ("short_side_px", "integer", "To which frames are scaled."),
                ("crop_px", "integer", "Side of the test crop."),
                ("mean", "array of 3 numbers", "Of the normalisation, RGB."),
                ("std", "array of 3 numbers", "Of the normalisation, RGB."),
                ("gflops", "number, null", "Multiply-adds of one view in 1e9, as counted here."),
                ("params", "integer, null", "Parameters, as counted here."),
                ("published_top1", "number, null", "Percent, as published."),
                ("published_top5", "number, null", "Percent, as published."),
                ("published_map", "number, null", "Percent, as published."),
                ("published_views", "string", "Crops in space x clips in time of the published accuracy."),
                ("published_gflops_per_view", "number, null", "As published."),
                ("published_params_m", "number, null", "In 1e6, as published."),
                ("licence", "string", "Of the project that published it."),
                ("url", "string, null", "Of the file; null: it comes with this package."),
                ("cached", "string, null", "Its path on this machine."),
                ("note", "string, null", "What is unusual."),
            )
        ),
    ),
    "models_networks": Schema(
        "Networks",
        "The same with `--architectures`, or of the name of a network.",
        Rows(
            (
                ("name", "string", "As in `create_model`."),
                ("architecture", "string", "The same."),
                ("family", "string", "For example slowfast."),
                ("task", "string", '"classification" or "detection".'),
                ("num_frames", "integer", "Frames of a clip."),
                ("sampling_rate", "integer", "Frames of a 30 fps video for one of the clip."),
                ("short_side_px", "integer", "To which frames are scaled."),
                ("crop_px", "integer", "Side of the crop."),
                ("gflops", "number, null", "Multiply-adds of one view in 1e9."),
                ("params", "integer, null", "Parameters."),
                ("weights", "array of string", "Names of its published weights."),
                ("best_weights", "string, null", "Those that its name alone stands for."),
            )
        ),
        level=3,
    ),
    "download": Schema(
        "Download",
        "`twinpath models download --json`, one for each file.",
        Rows(
            (
                ("name", "string", "Of the weights."),
                ("path", "string", "Of the file."),
                ("size_bytes", "integer", "Of the file."),
                ("downloaded", "boolean", "Whether it was downloaded now."),
            )
        ),
        level=3,
    ),
    "conversion": Schema(
        "Conversion",
        "`twinpath models convert --json`.",
        Fields("twinpath.zoo.convert", "Conversion"),
        level=3,
    ),
    "verification": Schema(
        "Verification",
        "`twinpath models verify --json`.",
        Rows(
            (
                ("model", "string", "Full name of network and weights."),
                ("weights", "string", "Path of the file."),
                ("video", "string, null", "What was classified; null: there is nothing to compare with."),
                (
                    "agrees",
                    "boolean, null",
                    "Whether the labels are the upstream's; null: nothing to compare.",
                ),
                ("expected", "array of string, null", "The upstream's labels, best first."),
                ("compared", "integer, null", "How many of them must agree."),
                ("predictions", "array of [Prediction](#prediction)", "The five best here."),
            )
        ),
        level=3,
    ),
    "labels": Schema(
        "Labels",
        "`twinpath labels NAME --json`, one for each class; of AVA with `evaluated`: whether its mAP "
        "counts it. Without NAME "
        "one for each data set, with `dataset` and `num_classes`.",
        Rows(
            (
                ("index", "integer", "The logit, from 0."),
                ("id", "integer", "The number in the data set's own files; AVA's start at 1."),
                ("label", "string", "Name of the class."),
            )
        ),
    ),
    "doctor": Schema(
        "Doctor",
        "`twinpath doctor --json`. Versions are null where a package is not installed; `precision`, `cpu` "
        "and `openvino` "
        "depend on OpenVINO; `extra: …` has the version of each extra's package.",
        Rows(
            (
                ("twinpath", "string", "Version."),
                ("python", "string", "Version and platform."),
                ("cores", "integer", "CPU cores of this process."),
                ("cuda_gpu", "boolean", "Whether there is a GPU that torch can use."),
                ("engine", "string, null", "The engine that would be used; null: none is installed."),
                ("precision", "string", "The precision that OpenVINO would use."),
                ("openvino", "string, null", "Version."),
                ("cpu", "string", "Name of the CPU."),
                (
                    "streams",
                    "array",
                    "How each compiled network computes several clips: model, precision, clips_at_once, "
                    "threads, and the milliseconds a clip that were measured, alone_ms and together_ms.",
                ),
                ("isolation", "string", "What isolated reading amounts to on this machine."),
                ("torch", "string, null", "Version."),
                ("torchvision", "string, null", "Version."),
                ("pyav", "string, null", "Version."),
                ("ffmpeg", "string", "Versions of its libraries."),
                ("cache", "string", "Folder of weights and compiled networks."),
                ("cache_weights_bytes", "integer", "Size of the weights."),
                ("cache_engines_bytes", "integer", "Size of the compiled networks."),
                ("cache_free_bytes", "integer", "Free space there."),
                ("executable", "string", "Path of Python."),
            )
        ),
    ),
}

_INTRODUCTION = """# JSON schemas

Made by `make docs` from the result classes and `scripts/write_schemas.py`; do not edit.

With `--json` a command prints one object on a line for each result, as soon as it is there, in ASCII. Files
are UTF-8. Times are in seconds since the first frame of the video (presentation time), boxes are x1, y1,
x2, y2 in pixels of the frame as displayed, scores are 0 to 1. Numbers are finite. Fields may be added in
later versions; ignore those that you do not know. `twinpath demo --json` prints a
[Classification](#classification) and [Detections](#detections), each with `truth`.
"""


def page() -> str:
    """The text of docs/schemas.md."""
    parts = [_INTRODUCTION.rstrip()]
    for schema in SCHEMAS.values():
        parts += [f"{'#' * schema.level} {schema.title}", *([schema.text] if schema.text else [])]
        lines = ["| field | type | meaning |", "| --- | --- | --- |"]
        lines += [f"| `{name}` | {kind} | {_cell(meaning)} |" for name, kind, meaning in schema.fields.rows()]
        parts.append("\n".join(lines))
    return "\n\n".join(parts) + "\n"


def keys(name: str) -> set[str]:
    """The names of the fields of a schema."""
    return {field_name for field_name, _, _ in SCHEMAS[name].fields.rows()}


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def main() -> None:
    PAGE.write_text(page(), "utf-8")


if __name__ == "__main__":
    main()
