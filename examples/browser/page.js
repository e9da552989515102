/* Classifies a video with a model folder of Twinpath, in the browser. See ../README.md.

     index.html?model=x3d_xs      the folder x3d_xs beside the page; without it the user chooses a folder

   model.json says which frames the network takes, and how they are resized and cropped. What is computed here
   is what classify_with_onnxruntime.py computes; normalisation is inside the graph. */
"use strict";

const RUNTIME = "onnxruntime/"; // fetch_runtime.py puts it there
const SHOWN_LABELS = 5;
const SHOWN_FRAMES = 8;
const SEEK_LIMIT_MS = 20000;
const REFERENCE_FPS = 30; // that sampling_rate refers to
const TOLERANCE_S = 0.0005; // a frame this close behind a time is on screen at that time

/** Something to tell the user, as it is. */
class Problem extends Error {}

const byId = (id) => document.getElementById(id);
const state = { model: null, file: null };

// ---- the model ---------------------------------------------------------------------------------------------

/** The network and what model.json says. `open(name)` gives a file of the folder as a Blob, or null. */
async function readModel(open, folder) {
  const text = await open("model.json");
  if (text === null) {
    throw new Problem(
      `There is no model.json in ${folder}. Make the folder with: twinpath models export x3d_xs ${folder} --format onnx`,
    );
  }
  const card = checkedCard(await text.text(), folder);
  const graph = await open("model.onnx");
  const stored = card.files["model.onnx"];
  if (graph === null || stored === undefined) {
    throw new Problem(`${folder} holds no model.onnx. Export the model with --format onnx.`);
  }
  const bytes = await graph.arrayBuffer();
  if (bytes.byteLength !== stored.size_bytes || (await sha256(bytes)) !== stored.sha256) {
    throw new Problem(
      `${folder}/model.onnx is not the file that its model.json describes. Copy or export the folder again.`,
    );
  }
  const ort = await loadRuntime();
  try {
    return { card, ort, session: await ort.InferenceSession.create(bytes, { executionProviders: ["wasm"] }) };
  } catch (error) {
    throw new Problem(`onnxruntime-web cannot run ${folder}/model.onnx: ${error.message}`);
  }
}

/** What model.json says, if this page can use it. */
function checkedCard(text, folder) {
  let card;
  try {
    card = JSON.parse(text);
  } catch {
    throw new Problem(`${folder}/model.json is no JSON. Copy or export the folder again.`);
  }
  if (card?.format !== "twinpath-model") throw new Problem(`${folder} is no model folder of Twinpath.`);
  if (card.version !== 1) {
    throw new Problem(`${folder} has version ${card.version} of the format; this page reads version 1.`);
  }
  if (card.task !== "classification") {
    throw new Problem(
      `${folder} holds a network for ${card.task}, which needs boxes of people. This page takes networks that ` +
        "classify a clip, such as x3d_xs.",
    );
  }
  const input = card.input ?? {};
  const frames = card.graph?.inputs?.find(({ name }) => name === "frames");
  const { num_frames: count, crop_px: crop, short_side_px: short, resize_px: fixed } = input;
  const wanted = ["N", count, crop, crop, 3];
  const sizes = [count, crop, short, ...(fixed ?? [])];
  const sampled = ["clip", "strided", "segments"].includes(input.sampling) && input.sampling_rate > 0;
  if (!sizes.every((size) => Number.isInteger(size) && size > 0 && size <= 8192) || !sampled || !card.files) {
    throw new Problem(`${folder}/model.json does not say what the network takes. Export the folder again.`);
  }
  if (frames?.dtype !== "uint8" || String(frames.shape) !== String(wanted) || crop > Math.min(short, ...(fixed ?? [short]))) {
    throw new Problem(`The network in ${folder} takes another input than this page makes: ${wanted.join(" x ")} bytes.`);
  }
  if (!Array.isArray(card.labels) || !card.labels.length) throw new Problem(`${folder}/model.json has no labels.`);
  return card;
}

/** In hexadecimal digits. */
async function sha256(bytes) {
  if (!crypto.subtle) {
    throw new Problem("Browsers check files on https:// and http://localhost only; open this page there.");
  }
  const digest = new Uint8Array(await crypto.subtle.digest("SHA-256", bytes));
  return Array.from(digest, (byte) => byte.toString(16).padStart(2, "0")).join("");
}

/** onnxruntime-web, on one thread: several need headers that simple servers do not send. */
async function loadRuntime() {
  try {
    const ort = await import(`./${RUNTIME}ort.wasm.bundle.min.mjs`);
    ort.env.wasm.numThreads = 1;
    ort.env.wasm.wasmPaths = { wasm: new URL(`${RUNTIME}ort-wasm-simd-threaded.wasm`, document.baseURI).href };
    return ort;
  } catch (error) {
    console.error(error);
    throw new Problem(`onnxruntime-web is not beside this page. Run fetch_runtime.py, and load the page again.`);
  }
}

/** Reads files of a folder beside the page. */
function servedFolder(folder) {
  const base = new URL(`${folder}/`, document.baseURI);
  if (base.origin !== location.origin) throw new Problem(`The model must lie beside this page, not at ${base.origin}.`);
  return async (name) => {
    let answer;
    try {
      answer = await fetch(new URL(name, base));
    } catch {
      throw new Problem(`The server of this page does not answer. Is it running?`);
    }
    return answer.ok ? answer.blob() : null;
  };
}

/** Reads files that the user chose. */
function chosenFolder(files) {
  return async (name) => files.find((file) => file.name === name) ?? null;
}

// ---- the video ---------------------------------------------------------------------------------------------

/** Seconds at which frames are taken, as `twinpath classify` takes them. */
async function frameTimes(video, duration_s, input, name) {
  const { num_frames: count, sampling_rate: rate, sampling } = input;
  const numbers = Array.from({ length: count }, (_, i) => i);
  if (sampling === "segments") return numbers.map((i) => ((i + 0.5) * duration_s) / count);
  if (sampling === "strided") return numbers.map((i) => (i * rate) / REFERENCE_FPS);
  const end_s = Math.min((count * rate) / REFERENCE_FPS, duration_s); // evenly, to the last frame before it
  const last_s = await lastFrameBefore(video, end_s, name);
  return numbers.map((i) => (count > 1 ? (i * last_s) / (count - 1) : 0));
}

/** Time of the last frame that starts before a time. Where the browser does not say it, of 30 frames a second. */
async function lastFrameBefore(video, end_s, name) {
  const guess_s = Math.max(end_s - 1 / REFERENCE_FPS, 0);
  if (!("VideoFrame" in window)) return guess_s;
  await seek(video, Math.max(end_s - 2 * TOLERANCE_S, 0), name);
  const frame = new VideoFrame(video);
  const found_s = frame.timestamp / 1e6;
  frame.close();
  return found_s >= 0 && found_s < end_s ? found_s : guess_s;
}

/** Resolves at an event of the video; rejects when it cannot be decoded. */
function happens(video, event, name) {
  return new Promise((resolve, reject) => {
    const listening = new AbortController();
    const end = (settle, value) => {
      clearTimeout(timer);
      listening.abort();
      settle(value);
    };
    const problem = () =>
      new Problem(`This browser cannot decode ${name}. MP4 with H.264 and WebM play in most browsers.`);
    const timer = setTimeout(() => end(reject, problem()), SEEK_LIMIT_MS);
    video.addEventListener(event, () => end(resolve), { signal: listening.signal });
    video.addEventListener("error", () => end(reject, problem()), { signal: listening.signal });
  });
}

/** Shows the frame of a time. */
async function seek(video, time_s, name) {
  const seeked = happens(video, "seeked", name);
  video.currentTime = time_s;
  await seeked;
}

/** Opens a file in the page's video element; returns its duration in seconds. */
async function openVideo(video, file) {
  if (video.src) URL.revokeObjectURL(video.src);
  const loaded = happens(video, "loadeddata", file.name);
  video.preload = "auto";
  video.src = URL.createObjectURL(file);
  video.load();
  await loaded;
  if (!video.videoWidth) throw new Problem(`${file.name} holds no pictures that this browser can decode.`);
  if (!Number.isFinite(video.duration)) await seek(video, 1e7, file.name); // recordings do not say it: find the end
  return Number.isFinite(video.duration) ? video.duration : video.currentTime;
}

/** The clip of the network: T x S x S x 3 bytes. */
async function readClip(video, file, input) {
  const { num_frames: count, crop_px: crop } = input;
  const duration_s = await openVideo(video, file);
  const width = video.videoWidth;
  const height = video.videoHeight;
  const canvas = Object.assign(document.createElement("canvas"), { width, height });
  const context = canvas.getContext("2d", { willReadFrequently: true });
  const [scaledHeight, scaledWidth] = scaledSize(height, width, input);
  const rows = taps(height, scaledHeight, crop);
  const columns = taps(width, scaledWidth, crop);
  const clip = new Uint8ClampedArray(count * crop * crop * 3); // rounds half to even, as NumPy does
  const times = await frameTimes(video, duration_s, input, file.name);
  for (const [i, time_s] of times.entries()) {
    say(`Reading frame ${i + 1} of ${count} …`);
    await seek(video, Math.min(time_s + TOLERANCE_S, Math.max(duration_s - TOLERANCE_S, 0)), file.name);
    context.drawImage(video, 0, 0, width, height);
    const { data } = context.getImageData(0, 0, width, height);
    resizeInto(clip.subarray(i * crop * crop * 3), data, width, rows, columns);
  }
  return new Uint8Array(clip.buffer);
}

/** Height and width of the resized picture. */
function scaledSize(height, width, { short_side_px: short, resize_px: fixed }) {
  const least = Math.min(height, width);
  return fixed ?? [height, width].map((side) => (side === least ? short : Math.floor((side / least) * short)));
}

/** The two pixels that each pixel of the crop is mixed of along one side, and the second's share. */
function taps(side, scaled, crop) {
  const start = halfToEven((scaled - crop) / 2);
  return Array.from({ length: crop }, (_, i) => {
    const at = Math.max(((start + i + 0.5) * side) / scaled - 0.5, 0);
    const first = Math.min(Math.floor(at), side - 1);
    return { first, second: Math.min(first + 1, side - 1), share: at - first };
  });
}

/** As Python rounds. */
function halfToEven(value) {
  const rounded = Math.round(value);
  return value % 1 === 0.5 && rounded % 2 ? rounded - 1 : rounded;
}

/** Bilinear resize and crop of RGBA pixels to RGB. */
function resizeInto(out, pixels, width, rows, columns) {
  let at = 0;
  for (const row of rows) {
    const top = row.first * width;
    const bottom = row.second * width;
    for (const column of columns) {
      for (let channel = 0; channel < 3; channel++) {
        const left = column.first * 4 + channel;
        const right = column.second * 4 + channel;
        const above = mix(pixels[top * 4 + left], pixels[top * 4 + right], column.share);
        const below = mix(pixels[bottom * 4 + left], pixels[bottom * 4 + right], column.share);
        out[at++] = mix(above, below, row.share);
      }
    }
  }
}

const mix = (first, second, share) => first + (second - first) * share;

// ---- the answer --------------------------------------------------------------------------------------------

/** Labels and scores, the best first. */
async function classify({ card, ort, session }, clip) {
  const { num_frames: count, crop_px: crop } = card.input;
  const frames = new ort.Tensor("uint8", clip, [1, count, crop, crop, 3]);
  const { scores } = await session.run({ frames }, ["scores"]);
  if (scores.data.length !== card.labels.length) {
    throw new Problem(`The network gives ${scores.data.length} scores, and model.json has ${card.labels.length} labels.`);
  }
  return card.labels.map((label, i) => ({ label, score: scores.data[i] })).sort((a, b) => b.score - a.score);
}

function element(name, className, text = "") {
  return Object.assign(document.createElement(name), { className, textContent: text });
}

function showAnswers(answers, facts) {
  const items = answers.slice(0, SHOWN_LABELS).map(({ label, score }) => {
    const share = `${(100 * score).toFixed(1)} %`;
    const track = element("div", "track");
    const bar = element("div", "bar");
    bar.style.width = `${100 * score}%`;
    track.append(bar);
    const item = document.createElement("li");
    item.append(element("span", "label", label), track, element("span", "share", share));
    return item;
  });
  byId("answers").replaceChildren(...items);
  byId("facts").textContent = facts;
  byId("result").hidden = false;
}

/** Some of the frames as the network saw them. */
function showFrames(clip, { num_frames: count, crop_px: crop }) {
  const shown = Math.min(count, SHOWN_FRAMES);
  const pictures = Array.from({ length: shown }, (_, i) => {
    const number = shown > 1 ? Math.floor((i * (count - 1)) / (shown - 1)) : 0;
    const picture = new ImageData(crop, crop);
    for (let from = number * crop * crop * 3, to = 0; to < picture.data.length; from += 3, to += 4) {
      picture.data.set([clip[from], clip[from + 1], clip[from + 2], 255], to);
    }
    const canvas = Object.assign(document.createElement("canvas"), { width: crop, height: crop });
    canvas.getContext("2d").putImageData(picture, 0, 0);
    return canvas;
  });
  byId("frames").replaceChildren(...pictures);
}

function say(text) {
  byId("status").textContent = text;
  byId("status").hidden = !text;
}

/** Does one thing at a time; says what is wrong in words. */
async function during(text, work) {
  if (document.body.dataset.state === "busy") return;
  document.body.dataset.state = "busy";
  byId("result").hidden = true;
  say(text);
  try {
    await work();
    document.body.dataset.state = byId("result").hidden ? "idle" : "done";
    say("");
  } catch (error) {
    if (!(error instanceof Problem)) console.error(error);
    say(error instanceof Problem ? error.message : `This did not work: ${error.message}`);
    document.body.dataset.state = "error";
  }
}

async function takeModel(open, folder) {
  state.model = null;
  byId("model").textContent = folder;
  state.model = await readModel(open, folder);
  const { name, dataset, labels, input } = state.model.card;
  byId("model").textContent =
    `${name}: ${labels.length} labels of ${dataset}, ${input.num_frames} frames of ${input.crop_px} x ${input.crop_px}` +
    (dataset === "synthetic" ? ". It learned from drawn scenes and knows no real videos." : "");
}

async function answer() {
  const { model, file } = state;
  if (!model || !file) return;
  const began_ms = performance.now();
  const clip = await readClip(byId("video"), file, model.card.input);
  const read_ms = performance.now();
  say("The network runs …");
  await new Promise((resolve) => setTimeout(resolve, 30)); // let the page be drawn: the network runs in its thread
  const run_ms = performance.now();
  const answers = await classify(model, clip);
  const seconds = (from_ms, to_ms) => `${((to_ms - from_ms) / 1000).toFixed(2)} s`;
  showFrames(clip, model.card.input);
  showAnswers(
    answers,
    `Frames as the network saw them. Read in ${seconds(began_ms, read_ms)}, network ${seconds(run_ms, performance.now())}.`,
  );
}

function takeVideo(file) {
  if (!file) return;
  during("Opening the video …", async () => {
    state.file = null;
    byId("file").textContent = file.name;
    byId("video").hidden = false;
    state.file = file;
    if (!state.model) return;
    await answer();
  });
}

function start() {
  if (location.protocol === "file:") {
    document.body.dataset.state = "error";
    say("Open this page through a server: run python -m http.server in its folder, then http://localhost:8000/");
    return;
  }
  byId("model-files").addEventListener("change", ({ target }) => {
    const files = [...target.files];
    if (!files.length) return;
    const folder = files[0].webkitRelativePath.split("/")[0] || "the chosen folder";
    during("Loading the model …", async () => {
      await takeModel(chosenFolder(files), folder);
      await answer();
    });
    target.value = "";
  });
  byId("video-file").addEventListener("change", ({ target }) => {
    takeVideo(target.files[0]);
    target.value = "";
  });
  const main = document.querySelector("main");
  document.addEventListener("dragover", (event) => {
    event.preventDefault();
    main.classList.add("dropping");
  });
  document.addEventListener("dragleave", () => main.classList.remove("dropping"));
  document.addEventListener("drop", (event) => {
    event.preventDefault();
    main.classList.remove("dropping");
    takeVideo(event.dataTransfer.files[0]);
  });
  const folder = new URLSearchParams(location.search).get("model");
  if (folder) during("Loading the model …", async () => takeModel(servedFolder(folder), folder));
}

start();
