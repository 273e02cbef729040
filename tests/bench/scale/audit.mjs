// The API server's audit log → how often each user wrote what.
import { closeSync, openSync, readSync, statSync } from 'node:fs';

const PART = 4 << 20;
// They are asked about rights, and store nothing.
const REVIEWS = ['subjectaccessreviews', 'tokenreviews'];

/** Where the log ends now. */
export const mark = (path) => statSync(path).size;

function* lines(path, from) {
  const file = openSync(path, 'r');
  const part = Buffer.alloc(PART);
  let [at, rest] = [from, Buffer.alloc(0)];
  try {
    for (;;) {
      const length = readSync(file, part, 0, PART, at);
      if (length === 0) return;
      at += length;
      rest = Buffer.concat([rest, part.subarray(0, length)]);
      for (let end = rest.indexOf(10); end >= 0; end = rest.indexOf(10)) {
        yield rest.subarray(0, end).toString();
        rest = rest.subarray(end + 1);
      }
    }
  } finally {
    closeSync(file);
  }
}

/** Writes since `from` by users whose name begins with `prefix`: by kind, and the words of the first few. */
export function writes(path, from, prefix) {
  const kinds = {};
  for (const line of lines(path, from)) {
    if (!line.includes(prefix)) continue;
    const { user, verb, objectRef = {}, responseStatus = {} } = JSON.parse(line);
    if (!user.username.startsWith(prefix) || REVIEWS.includes(objectRef.resource)) continue;
    const resource = [objectRef.resource, objectRef.subresource].filter(Boolean).join('/');
    const failed = responseStatus.code >= 400 ? ` (${responseStatus.code})` : '';
    const kind = `${verb} ${resource}${failed}`;
    kinds[kind] = (kinds[kind] ?? 0) + 1;
  }
  return kinds;
}

/** How many of them there are, but for those of Leases. */
export const count = (kinds) =>
  Object.entries(kinds).reduce((sum, [kind, times]) => sum + (kind.includes(' leases') ? 0 : times), 0);
