// How far a text is from the model's: Levenshtein's distance in characters, as app/review/difference.py counts it.

const MOST = 2000; // changes; looking further takes longer than a keystroke may

/** The sum over pairs of texts, or Infinity where it is more than `most`. */
export function distanceOf(pairs, most = MOST) {
  let sum = 0;
  for (const [old, now] of pairs) sum += editDistance(codePoints(old), codePoints(now), most - sum);
  return sum;
}

export function distanceInWords(distance) {
  if (distance === 0) return "as the model wrote it";
  if (distance > MOST) return `more than ${MOST.toLocaleString("en")} characters from the model's text`;
  return `${distance.toLocaleString("en")} ${distance === 1 ? "character" : "characters"} from the model's text`;
}

// After Ukkonen 1985: for each number of changes, how far into `old` one comes on each diagonal of the table. Little
// is done where little was changed, however long the texts are.
function editDistance(old, now, most) {
  const end = now.length - old.length; // the diagonal of the last cell
  if (Math.abs(end) > most) return Infinity;
  const middle = most + 1;
  let reached = new Int32Array(2 * middle + 1).fill(-1);
  let before = reached.slice();
  for (let changes = 0; changes <= most; changes++) {
    [before, reached] = [reached, before];
    const first = Math.max(-changes, -old.length);
    const last = Math.min(changes, now.length);
    for (let diagonal = first; diagonal <= last; diagonal++) {
      const at = middle + diagonal;
      let i = changes === 0 ? 0 : Math.max(before[at] + 1, before[at - 1], before[at + 1] + 1);
      i = Math.min(i, old.length, now.length - diagonal);
      while (i < old.length && i + diagonal < now.length && old[i] === now[i + diagonal]) i++;
      reached[at] = i;
    }
    if (reached[middle + end] === old.length) return changes;
  }
  return Infinity;
}

function codePoints(text) {
  const points = new Int32Array(text.length);
  let length = 0;
  for (let at = 0; at < text.length; length++) {
    const point = text.codePointAt(at);
    points[length] = point;
    at += point > 0xffff ? 2 : 1;
  }
  return points.subarray(0, length);
}
