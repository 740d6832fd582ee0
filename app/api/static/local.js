// What this browser makes of a file by itself.

const HEAD_BYTES = 65_536;
const START = 0xffd8;
const SCAN = 0xffda;
const FRAMES = [0xffc0, 0xffc1, 0xffc2];
const MOST_COLOURS = 3;

/** Whether an <img> with that address shows something. */
export async function canShow(address) {
  const image = new Image();
  image.src = address;
  return image.decode().then(() => true, () => false);
}

/**
 * Whether it is a JPEG that holds nothing but its pixels, which browsers show as the server reads them. EXIF turns
 * a picture here but not for every model, a colour profile changes it here only, and the transparency of other
 * formats is filled as the manifest says.
 */
export async function isBareJpeg(blob) {
  const head = new DataView(await blob.slice(0, HEAD_BYTES).arrayBuffer());
  if (head.byteLength < 2 || head.getUint16(0) !== START) return false;
  for (let at = 2; at + 10 <= head.byteLength; at += 2 + head.getUint16(at + 2)) {
    const marker = head.getUint16(at);
    if (marker === SCAN) return true;
    if (marker < 0xff00 || (marker > 0xffe0 && marker < 0xfff0)) return false; // EXIF, ICC, Adobe: APP1 to APP15
    if (FRAMES.includes(marker) && head.getUint8(at + 9) > MOST_COLOURS) return false;
  }
  return false;
}
