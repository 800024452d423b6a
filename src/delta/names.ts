/** Names of files as far as they say what a file is: versions and numbers change from release to release. */
import type { ByteString } from '../core/bytes.ts';

/** The name or path with every run of digits as `0`: `libssl.so.3` and `libssl.so.1.1` differ still, `so.3` and `so.4` do not. */
export function maskDigits(name: ByteString): ByteString {
  return name.replace(/[0-9]+/g, '0');
}

export function baseName(path: ByteString): ByteString {
  return path.slice(path.lastIndexOf('/') + 1);
}

/** The last extension in lower case that is not a number: `so` of `libssl.so.3`, `gz` of `ls.1.gz`; empty where there is none. */
export function extensionOf(path: ByteString): ByteString {
  const parts = baseName(path).split('.');
  for (let index = parts.length - 1; index > 0; index--) {
    const part = parts[index]!;
    if (part !== '' && !/^[0-9]+$/.test(part)) return part.toLowerCase();
  }
  return '';
}

/** Hexadecimal hashes (`app.3f2a9c.js`, build ids): six digits and more, with figures and letters. */
const HEX_HASH = /(?<![0-9a-z])(?=[a-f]*[0-9])(?=[0-9]*[a-f])[0-9a-f]{6,}(?![0-9a-z])/gi;

/** Hashes that bundlers of web pages put before the extension (`index-DiwrgTda.js`): eight letters, figures, `_` or `-`, with capitals within. */
const BUNDLE_HASH =
  /(?<=[.-])(?=[\w-]*(?:[a-z_-][A-Z0-9]|[0-9][A-Za-z]))[\w-]{8}(?=\.(?:chunk\.)?(?:[cm]?js|css|json|map|svg|png|woff2?)\b)/g;

/**
 * Versions: numbers that dots, dashes and the like join, with the letters between and behind them that packagers and kernels use (`5.36.0`,
 * `1.1.1n`, `6.1.0-50`, `3.0.15-1~deb12u1`, `2.0rc3`).
 */
const VERSION =
  /[0-9]+(?:(?:[.+~_-]?(?:alpha|beta|rc|pre|post|dev|deb|dfsg|ubuntu|bpo|git|svn)[.~-]?|[.+~_-]+[a-z]?|[a-z])[0-9]+)*(?:[a-z](?![0-9a-z]))?/gi;

/**
 * A path without versions and hashes: what is left is the same from release to release. `/lib/modules/6.1.0-50-cloud-amd64` and
 * `6.1.0-56-cloud-amd64`, `python3.11` and `python3`, `libc-2.31.so` and `libc.so.6`, `app.3f2a9c.js` and `app.77b01d.js` are the same.
 */
export function withoutVersions(path: ByteString): ByteString {
  return path
    .replace(BUNDLE_HASH, '#')
    .replace(HEX_HASH, '#')
    .split('/')
    .map((name) => nameWithoutVersion(name.replace(VERSION, '0')))
    .join('/');
}

/** A version at the end, or around `.so`, is often left out altogether. */
function nameWithoutVersion(name: string): string {
  return name.replace(/[._-]?0?\.so(?:\.0)*$/, '.so').replace(/(?<=[a-z])[._-]?0$/i, '');
}
