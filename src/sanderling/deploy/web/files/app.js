// The page itself.
import { RunnerError } from "./runner.js";
import { Held } from "./data.js";
import { Model, answerPicture, compared } from "./model.js";
import { css } from "./draw.js";
import { percent } from "./answers.js";
import { benchResult, deviceOf, timed } from "./bench.js";

const $ = (id) => document.getElementById(id);
const MOST_SIDE = 2560; // of a picture that is looked at: canvases of phones end somewhere
const page = { held: null, head: null, model: null, detector: null, device: null, shown: null, sample: 0, rows: [] };

function say(state, text) {
  $("verdict").textContent = text;
  $("verdict").dataset.state = state;
}

function element(kind, text, name = "") {
  const made = document.createElement(kind);
  made.textContent = text; // never markup: names come with the model
  if (name) made.className = name;
  return made;
}

/** Returns what a person can do about a browser without WebGPU, by what it says of itself. */
export function enabling(agent) {
  if (globalThis.isSecureContext === false) {
    return "This page came over plain HTTP, where browsers offer no WebGPU: open it over HTTPS, on localhost, or as a file.";
  }
  if (/iPhone|iPad/.test(agent)) return "This browser offers no WebGPU. It is there from iOS 26 on; before, in Settings → Apps → Safari → Advanced → Feature Flags → WebGPU.";
  if (/Firefox/.test(agent)) return "This Firefox offers no WebGPU. Update it, or set dom.webgpu.enabled to true in about:config.";
  if (/Android/.test(agent)) return "This browser offers no WebGPU. Update Chrome (121 or newer, Android 12 or newer), or enable chrome://flags/#enable-unsafe-webgpu.";
  if (/Macintosh.*Safari/.test(agent) && !/Chrome/.test(agent)) return "This Safari offers no WebGPU. It is there from version 26 on; before, in Develop → Feature Flags → WebGPU.";
  if (/Linux/.test(agent)) return "This browser offers no WebGPU. On Linux, start Chrome or Chromium with --enable-unsafe-webgpu --enable-features=Vulkan, or enable both in chrome://flags.";
  return "This browser offers no WebGPU. Update Chrome or Edge (113 or newer), and see that graphics acceleration is switched on in its settings.";
}

async function start() {
  try {
    page.held = Held.read(globalThis.sanderling.data);
    page.head = page.held.head;
    describe();
    if (!navigator.gpu) throw new RunnerError("unsupported", enabling(navigator.userAgent));
    page.device = await deviceOf();
    await open(programs()[0]);
    await first();
    await verify();
  } catch (error) {
    failed(error);
  }
}

function failed(error) {
  say(error.code === "unsupported" ? "unable" : "failed", error.code === "unsupported" ? "Cannot run here" : "Something went wrong");
  $("hint").textContent = error.message;
  for (const button of document.querySelectorAll("button")) button.disabled = true;
  if (!(error instanceof RunnerError)) throw error;
}

function describe() {
  const { size_bytes, sha256, model, noise, notes } = page.head, pictures = model.inputs.some(({ image }) => image);
  const what = model.task ? `${model.task} · ` : "";
  $("about").textContent = `${what}${(size_bytes / 1e6).toFixed(size_bytes < 1e7 ? 2 : 1)} MB model · ${sha256.slice(0, 12)}`;
  for (const id of ["camera", "pick"]) $(id).hidden = !pictures;
  $("sample").hidden = !page.head.samples.length && pictures;
  $("sample").textContent = pictures ? "Sample" : "Next example";
  for (const note of [
    ...(noise ? ["No samples were given when this page was made: its examples are noise, which shows that the model is computed right, and nothing else."] : []),
    ...(pictures ? [] : ["This model takes no pictures: the page answers its stored examples and times it."]),
    ...notes.map((text) => `${text}.`), "Everything happens in this page: no picture leaves the device.",
  ]) $("notes").append(element("p", note));
}

/** Returns the programs that this device can run, the best first. */
function programs() {
  const { fallback, half } = page.device, has = page.head.model.programs;
  const known = [has.software && fallback && "software", has.float16 && half && !fallback && "float16", "float32", has.float16 && half && fallback && "float16"];
  return known.filter(Boolean);
}

async function open(program) {
  page.model?.close();
  const detects = page.head.detector && !page.detector;
  [page.model, page.detector] = await Promise.all([
    Model.open(page.held, page.head.model, program),
    detects ? Model.open(page.held, page.head.detector, page.device.fallback ? "software" : "float32") : page.detector,
  ]);
  $("precisions").hidden = !programs().includes("float16");
  $("precision").value = page.model.precision;
}

/** Shows the first answer, before anything is compared: that is what people wait for. */
async function first() {
  if (page.model.picture && page.head.samples.length) await showSample();
  else if (page.model.picture) $("hint").textContent = "Drop a picture here, choose one, or start the camera.";
  else await showExample();
  document.documentElement.dataset.firstAnswer = String(Math.round(performance.now()));
}

/** Returns the output that differs most from the stored answers, in shares of what is allowed. */
const worstOf = (rows) => rows.map(({ name, off, allowed }) => ({ name, share: off / allowed }))
  .reduce((a, b) => (b.share > a.share ? b : a));

/** Compares with the stored answers; where 16 bits are too few on this device, 32 are taken. */
async function verify() {
  const { examples, tolerance } = page.head, verdict = $("verdict");
  page.rows = await compared(page.model, examples, tolerance[page.model.precision]);
  const worst = worstOf(page.rows), { share } = worst;
  if (!(share <= 1) && page.model.precision === "float16") {
    $("trust").dataset.before = `In 16 bits, output ${worst.name} was off by ${share.toPrecision(3)} times what is allowed: computing in 32. `;
    await open("float32");
    await verify();
    return;
  }
  Object.assign(verdict.dataset, { worst: share, output: worst.name, examples: examples.length, precision: page.model.precision });
  if (share <= 1) say("right", "Correct on this device");
  else say("wrong", `Wrong on this device: output ${worst.name} is off by ${share.toPrecision(3)} times what is allowed`);
  showTrust();
}

/** Returns how right every program is that this device can run: what is asked before a page is given away. */
async function proof() {
  const { examples, tolerance, model } = page.head, told = [];
  for (const program of programs()) {
    const opened = await Model.open(page.held, model, program);
    const { name, share } = worstOf(await compared(opened, examples, tolerance[opened.precision]));
    opened.close();
    told.push({ program, output: name, worst: String(share), examples: examples.length });
  }
  return told;
}

function showTrust() {
  const { examples } = page.head, table = $("outputs"), { device, model } = page;
  const gpu = [device.vendor, device.architecture, device.description].filter(Boolean).join(" ") || "this GPU";
  const many = `${examples.length} stored example${examples.length === 1 ? "" : "s"}`;
  $("trust").textContent = `${$("trust").dataset.before ?? ""}${many}, answered by LiteRT when the page was made and here by ${gpu} in ${model.precision === "float16" ? 16 : 32} bits.`;
  const told = (value, float) => (float ? `${(100 * value).toPrecision(2)} %` : `${value} steps`);
  const head = element("tr", "");
  head.append(...["output", "differs by", "allowed"].map((name) => element("th", name)));
  table.replaceChildren(head, ...page.rows.map(({ name, off, allowed }, i) => {
    const float = "levels" in examples[0].outputs[i], row = element("tr", "");
    const difference = element("td", told(off, float), off <= allowed ? "" : "off"), first = element("td", name);
    first.title = name;
    row.append(first, difference, element("td", told(allowed, float)));
    return row;
  }));
}

/** Draws a picture with what the model says of it. `source`: anything that a canvas draws. */
async function show(source, width, height, crisp = false) {
  const scale = Math.min(1, MOST_SIDE / Math.max(width, height));
  const [w, h] = [Math.max(1, Math.round(width * scale)), Math.max(1, Math.round(height * scale))];
  const canvas = show.canvas ??= document.createElement("canvas");
  if (canvas.width !== w || canvas.height !== h) [canvas.width, canvas.height] = [w, h];
  const context = canvas.getContext("2d", { willReadFrequently: true });
  context.fillStyle = "#fff"; // transparent parts are white, as in the library
  context.fillRect(0, 0, w, h);
  context.drawImage(source, 0, 0, w, h);
  const pixels = context.getImageData(0, 0, w, h);
  const begun = performance.now();
  const found = await answerPicture(page.model, page.detector, pixels);
  page.shown = { canvas, width: w, height: h, crisp, ...found, all: performance.now() - begun };
  $("hint").textContent = "";
  paint();
  tellAnswers(found.answers);
  return page.shown;
}

function paint() {
  const { shown } = page;
  if (!shown) return;
  const view = $("view"), frame = $("frame"), ratio = Math.min(globalThis.devicePixelRatio || 1, 2);
  const room = Math.min(frame.clientWidth, (shown.width / shown.height) * Math.max(320, globalThis.innerHeight * 0.68));
  const wide = Math.round(room), high = Math.round((room * shown.height) / shown.width);
  Object.assign(view.style, { width: `${wide}px`, height: `${high}px` });
  [view.width, view.height] = [Math.round(wide * ratio), Math.round(high * ratio)];
  const context = view.getContext("2d"), scale = view.width / shown.width;
  context.imageSmoothingEnabled = !shown.crisp;
  context.imageSmoothingQuality = "high";
  context.setTransform(scale, 0, 0, scale, 0, 0);
  context.drawImage(shown.canvas, 0, 0);
  context.imageSmoothingEnabled = true;
  for (const answer of shown.answers) answer.draw?.(context, ratio / scale);
}

function tellAnswers(answers) {
  const rows = answers.flatMap((answer, i) => (answers.length > 1
    ? answer.rows.map((row) => ({ ...row, name: `${i + 1}. ${row.name}` })) : answer.rows));
  $("answer").replaceChildren(...(rows.length ? rows : [{ name: "nothing that the model could look at" }]).map(answerRow));
  $("fact").textContent = answers[0]?.fact ?? "";
}

function answerRow({ name, share, note, colour, plain }) {
  const row = element("li", "");
  if (share !== undefined) {
    const bar = element("i", "");
    bar.style.width = `${100 * share}%`;
    row.append(bar);
  }
  if (colour) {
    const swatch = element("span", "", "swatch");
    swatch.style.background = css(colour);
    row.append(swatch);
  }
  row.append(element("span", name, plain ? "name plain" : "name"));
  if (note) row.append(element("span", note, "note"));
  if (share !== undefined) row.append(element("span", percent(share), "share"));
  return row;
}

async function showFile(blob) {
  const bitmap = await createImageBitmap(blob, { colorSpaceConversion: "none" });
  page.model.forget();
  const shown = await show(bitmap, bitmap.width, bitmap.height, Math.max(bitmap.width, bitmap.height) < 100);
  bitmap.close();
  $("rate").textContent = `model ${shown.ms.toFixed(1)} ms, the rest ${(shown.all - shown.ms).toFixed(1)} ms`;
}

async function showSample() {
  const { samples } = page.head, { from, mime } = samples[page.sample++ % samples.length];
  await showFile(new Blob([page.held.raw(from)], { type: mime }));
}

/** Answers a stored example of a model that takes no pictures; what it means was told by the library. */
async function showExample() {
  const { examples } = page.head, example = examples[page.sample++ % examples.length];
  page.model.forget();
  const begun = performance.now();
  await page.model.run(page.model.exampleFeeds(example));
  $("rate").textContent = `${(performance.now() - begun).toFixed(1)} ms`;
  $("hint").textContent = `${example.name}: one of ${examples.length} stored example${examples.length === 1 ? "" : "s"}`;
  const lines = example.lines.length ? example.lines : ["(no words)"];
  $("answer").replaceChildren(...lines.map((name) => answerRow({ name, plain: true })));
  $("fact").textContent = "as LiteRT answered it when the page was made";
}

const camera = { stream: null, facing: "environment" };

async function startCamera() {
  if (!navigator.mediaDevices?.getUserMedia) throw new Error("this browser gives no camera to this page: open it over HTTPS or on localhost");
  const video = document.createElement("video");
  camera.stream = await navigator.mediaDevices.getUserMedia({ video: { facingMode: camera.facing, width: { ideal: 1280 } }, audio: false });
  Object.assign(video, { srcObject: camera.stream, muted: true, playsInline: true });
  await video.play();
  $("camera").textContent = "Stop";
  $("turn").hidden = false;
  page.model.forget();
  const times = [];
  const mine = camera.stream;
  while (camera.stream === mine) {
    const shown = await show(video, video.videoWidth, video.videoHeight);
    times.push(performance.now());
    if (times.length > 20) times.shift();
    const rate = times.length > 1 ? (1000 * (times.length - 1)) / (times[times.length - 1] - times[0]) : 0;
    $("rate").textContent = `${rate.toFixed(1)} fps, model ${shown.ms.toFixed(1)} ms`;
    await new Promise(requestAnimationFrame);
  }
}

function stopCamera() {
  camera.stream?.getTracks().forEach((track) => track.stop());
  camera.stream = null;
  $("camera").textContent = "Camera";
  $("turn").hidden = true;
}

/** Times the model, and the other precision beside it where there is one. Returns the result. */
async function bench() {
  const { head, model } = page, other = programs().find((name) => (name === "float16") !== (model.precision === "float16"));
  const models = other ? [model, await Model.open(page.held, head.model, other)] : [model];
  $("progress").hidden = false;
  const rows = await timed(models, model.exampleFeeds(head.examples[0]), (part) => { $("progress").value = part; });
  models.slice(1).forEach((each) => each.close());
  model.forget();
  $("progress").hidden = true;
  const result = benchResult(head, page.device, $("verdict").dataset.state === "right", rows);
  $("speed").textContent = rows.map(({ precision, p50_ms, p90_ms, runs }) => (
    `${precision.slice(1)} bits: median ${p50_ms} ms, 90th percentile ${p90_ms} ms (${runs} calls)`)).join("; ");
  $("json").textContent = JSON.stringify(result, null, 1);
  $("result").hidden = false;
  return result;
}

async function copy() {
  const selected = getSelection();
  selected.selectAllChildren($("json"));
  try {
    await navigator.clipboard.writeText($("json").textContent);
    $("copy").textContent = "Copied";
  } catch {
    $("copy").textContent = "Selected: copy it from the page"; // a page from a file may not write to the clipboard
  }
}

let turn = Promise.resolve();

/** Does one thing after the other: there is one model, and one picture. */
function inTurn(act) {
  turn = turn.then(async () => {
    try {
      await act();
    } catch (error) {
      if (error instanceof RunnerError) failed(error);
      else $("hint").textContent = `That did not work: ${error.message}`;
    }
  });
  return turn;
}

const still = (act) => () => {
  stopCamera();
  return inTurn(act);
};

$("camera").addEventListener("click", () => (camera.stream ? stopCamera() : inTurn(startCamera)));
$("turn").addEventListener("click", () => {
  camera.facing = camera.facing === "user" ? "environment" : "user";
  stopCamera();
  inTurn(startCamera);
});
$("file").addEventListener("change", ({ target }) => {
  const [file] = target.files;
  target.value = "";
  if (file) still(() => showFile(file))();
});
$("sample").addEventListener("click", still(() => (page.model.picture ? showSample() : showExample())));
$("bench").addEventListener("click", still(bench));
$("copy").addEventListener("click", copy);
$("precision").addEventListener("change", ({ target }) => still(async () => {
  await open(programs().find((name) => (name === "float16") === (target.value === "float16")));
  await verify();
})());
$("frame").addEventListener("dragover", (event) => {
  event.preventDefault();
  $("frame").classList.add("over");
});
$("frame").addEventListener("dragleave", () => $("frame").classList.remove("over"));
$("frame").addEventListener("drop", (event) => {
  event.preventDefault();
  $("frame").classList.remove("over");
  const [file] = event.dataTransfer.files;
  if (file && page.model?.picture) still(() => showFile(file))();
});
addEventListener("resize", paint);

/** For the console, and for whoever drives the page: what it shows, and its functions. */
inTurn(start).then(() => { globalThis.sanderling = { page, showFile, bench, proof, enabling }; });
