// Unpacks the page: text → bytes (see text.py, which writes it), inflates them, and starts the page's own script.

const AVOIDED = [0, 9, 10, 13, 26, 38, 60, 62];
const FIRST_PAIR = 0x100;

/** Returns the bytes that a text stands for: 7 bits a character, or 14 where one stands for two. */
function bytesOfText(text) {
  const bytes = new Uint8Array(Math.floor((text.length * 2 * 7) / 8) + 8);
  let held = 0, bits = 0, end = 0;
  for (let i = 0; i < text.length; i++) {
    const code = text.charCodeAt(i);
    if (code < 128) {
      held = (held << 7) | code;
      bits += 7;
    } else {
      const pair = code - FIRST_PAIR;
      held = (held << 14) | (AVOIDED[pair >> 7] << 7) | (pair & 127);
      bits += 14;
    }
    while (bits >= 8) {
      bits -= 8;
      bytes[end++] = held >> bits;
    }
    held &= (1 << bits) - 1;
  }
  return bytes.subarray(0, end);
}

/** Returns what deflated bytes held; what follows the stream's end is padding. */
async function inflated(bytes, size) {
  const stream = new Blob([bytes.subarray(0, size)]).stream().pipeThrough(new DecompressionStream("deflate-raw"));
  return new Uint8Array(await new Response(stream).arrayBuffer());
}

/** Returns what an element of the page holds: how many bytes, a colon, and those as text. */
async function heldBytes(id) {
  const text = document.getElementById(id).textContent, colon = text.indexOf(":");
  return inflated(bytesOfText(text.slice(colon + 1)), Number(text.slice(0, colon)));
}

async function unpack() {
  const [code, data] = await Promise.all([heldBytes("code"), heldBytes("data")]);
  const script = document.createElement("script");
  script.type = "module";
  script.textContent = new TextDecoder().decode(code); // the page's policy allows this text, and no other
  globalThis.sanderling = { data };
  document.head.append(script);
}

unpack().catch((error) => {
  const told = globalThis.DecompressionStream ? error.message : "this browser is too old: update it";
  document.getElementById("verdict").textContent = `Cannot be unpacked: ${told}`;
  document.getElementById("verdict").dataset.state = "failed";
});
