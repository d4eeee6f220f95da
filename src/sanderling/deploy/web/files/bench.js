// How fast the model is here: calls of all precisions in turn, so that a busy or hot device slows all alike.

const WARM = 3, LEAST = 20, MOST = 200, SECONDS = 4;

/** Times calls, inputs and outputs copied. Args: models. Returns { precision, p50_ms, p90_ms, runs } of each. */
export async function timed(models, feeds, tell) {
  const times = models.map(() => []);
  for (const model of models) for (let i = 0; i < WARM; i++) await model.run(feeds);
  const begun = performance.now();
  for (let round = 0; round < MOST; round++) {
    const spent = (performance.now() - begun) / 1000;
    if (round >= LEAST && spent > SECONDS * models.length) break;
    for (let i = 0; i < models.length; i++) {
      const start = performance.now();
      await models[i].run(feeds);
      times[i].push(performance.now() - start);
    }
    tell(Math.min(1, Math.max(round / MOST, Math.min(round / LEAST, spent / (SECONDS * models.length)))));
  }
  return models.map(({ precision }, i) => {
    const sorted = times[i].sort((a, b) => a - b);
    const told = (share) => Number(sorted[Math.min(sorted.length - 1, Math.floor(share * sorted.length))].toFixed(3));
    return { precision: precision === "float16" ? "f16" : "f32", p50_ms: told(0.5), p90_ms: told(0.9), runs: sorted.length };
  });
}

/** Returns what the browser tells of its GPU and of itself. */
export async function deviceOf() {
  const adapter = await navigator.gpu.requestAdapter({ powerPreference: "high-performance" });
  const { vendor = "", architecture = "", device = "", description = "" } = adapter?.info ?? {};
  return {
    vendor, architecture, device, description, half: Boolean(adapter?.features.has("shader-f16")),
    fallback: Boolean(adapter?.info?.isFallbackAdapter) || /swiftshader|llvmpipe/i.test(`${architecture} ${description}`),
    user_agent: navigator.userAgent,
  };
}

/** Returns the result as `sanderling bench --from` reads it. */
export function benchResult(head, device, correct, rows) {
  const [first, ...others] = rows;
  return {
    sanderling_bench: 1, model: head.name, sha256: head.sha256, engine: "webgpu", device, ...first,
    ...(others.length ? { others } : {}), correct, date: new Date().toISOString(),
  };
}
