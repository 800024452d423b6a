import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { imagesOfStack, mainConfigurationFile, readConfiguration, stackNamed } from '../../src/deploy/configuration.ts';
import { parseConfiguration } from '../../src/deploy/configuration-file.ts';
import { temporaryDirectory } from '../helpers/temporary.ts';

const directory = temporaryDirectory();
let counter = 0;

/** Writes files below a new directory and gives its path. */
function files(contents: Record<string, string>): string {
  const root = join(directory, `${++counter}`);
  for (const [name, text] of Object.entries(contents)) {
    mkdirSync(join(root, name, '..'), { recursive: true });
    writeFileSync(join(root, name), text);
  }
  return root;
}

const MINIMAL = 'url = "https://updates.example/os"\n[stack.system]\nmountpoint = "/srv/system"\n';

describe('reading a configuration', () => {
  it('fills in what is not said', () => {
    expect(readConfiguration({ root: files({ 'osupd.toml': MINIMAL }) })).toEqual({
      url: ['https://updates.example/os'],
      channel: 'stable',
      stacks: { system: { mountpoint: '/srv/system', switch: 'live', etc: 'merge' } },
      keep: 1,
      verity: 'auto',
      boot: { loader: 'systemd-boot', arguments: [], tries: 3 },
    });
  });

  it('reads every key', () => {
    const text = `
      url = ["https://a.example/r", "file:///srv/mirror", "/srv/other"]
      channel = "beta"
      keep = 3
      verity = "require"
      [boot]
      directory = "/efi"
      loader = "grub"
      arguments = ["root=UUID=1234", "rw", "console=ttyS0", "-quiet"]
      tries = 5
      verity = "require"
      failure = "reboot:30"
      writable = ["/home", "/srv"]
      [stack.system]
      mountpoint = "/"
      images = ["os"]
      etc = "keep"
      [stack.kiosk]
      mountpoint = "/srv/kiosk"
      images = ["kiosk", "os"]
    `;
    expect(readConfiguration({ root: files({ 'osupd.toml': text }) })).toEqual({
      url: ['https://a.example/r', 'file:///srv/mirror', '/srv/other'],
      channel: 'beta',
      stacks: {
        system: { mountpoint: '/', images: ['os'], switch: 'boot', etc: 'keep' },
        kiosk: { mountpoint: '/srv/kiosk', images: ['kiosk', 'os'], switch: 'live', etc: 'merge' },
      },
      keep: 3,
      verity: 'require',
      boot: {
        directory: '/efi',
        loader: 'grub',
        arguments: ['root=UUID=1234', 'rw', 'console=ttyS0', '-quiet'],
        tries: 5,
        verity: 'require',
        failure: 'reboot:30',
        writable: ['/home', '/srv'],
      },
    });
  });

  it('takes the later file key by key: the vendor, the administrator, then drop-ins by name', () => {
    const vendor = files({
      'osupd.toml': `${MINIMAL}images = ["os"]\n[stack.kiosk]\nmountpoint = "/srv/kiosk"\n`,
    });
    const administrator = files({
      'osupd.toml': 'channel = "beta"\nkeep = 2\n[stack.kiosk]\nimages = ["kiosk", "os"]\n',
      'osupd.toml.d/20-more.toml': 'keep = 5\n',
      'osupd.toml.d/10-less.toml': 'keep = 4\nchannel = "edge"\n',
      'osupd.toml.d/.hidden.toml': 'keep = 9\n',
      'osupd.toml.d/notes.txt': 'not a configuration',
    });
    const configuration = readConfiguration({ system: [vendor, administrator] });
    expect(configuration).toMatchObject({ url: ['https://updates.example/os'], channel: 'edge', keep: 5 });
    expect(configuration.stacks).toEqual({
      system: { mountpoint: '/srv/system', images: ['os'], switch: 'live', etc: 'merge' },
      kiosk: { mountpoint: '/srv/kiosk', images: ['kiosk', 'os'], switch: 'live', etc: 'merge' },
    });
  });

  it('reads the file given with --config and its drop-ins, and nothing else', () => {
    const root = files({ 'mine.toml': MINIMAL, 'mine.toml.d/1.toml': 'channel = "beta"\n' });
    const other = files({ 'osupd.toml': 'channel = "wrong"\n' });
    const configuration = readConfiguration({ config: join(root, 'mine.toml'), root: other, system: [other] });
    expect(configuration.channel).toBe('beta');
  });

  it('says how to make one where there is none', () => {
    const none = files({ 'other.toml': MINIMAL, 'osupd.toml.d/x.txt': '' });
    const wanted = expect.objectContaining({ code: 'not-found', remedy: expect.stringContaining('osupd init') });
    expect(() => readConfiguration({ root: none })).toThrow(wanted);
    expect(() => readConfiguration({ system: [none] })).toThrow(wanted);
    expect(() => readConfiguration({ config: join(none, 'absent.toml') })).toThrow(wanted);
  });

  it('names what init writes: the file given, the root, or the system', () => {
    expect(mainConfigurationFile({ config: '/x.toml', root: '/r' })).toBe('/x.toml');
    expect(mainConfigurationFile({ root: '/r' })).toBe('/r/osupd.toml');
    expect(mainConfigurationFile({})).toBe('/etc/osupd/osupd.toml');
  });
});

describe('refusing a configuration', () => {
  it.each([
    ['an unknown key', 'urls = "https://a.example"', 'urls'],
    ['an unknown key of a stack', '[stack.a]\nmount = "/x"', 'stack.a.mount'],
    ['a wrong type', 'url = 5', 'url'],
    ['a URL without scheme', 'url = "updates.example"', 'url'],
    ['a URL of another scheme', 'url = "ftp://updates.example/"', 'url'],
    ['a URL without host', 'url = "https://"', 'url'],
    ['a file URL with a host', 'url = "file://host/srv"', 'url'],
    ['a URL with a fragment', 'url = "https://a.example/#x"', 'url'],
    ['an empty list of URLs', 'url = []', 'url'],
    ['a URL twice', 'url = ["https://a.example/", "https://a.example/"]', 'url'],
    ['a channel that is no name', 'channel = "../x"', 'channel'],
    ['a fraction', 'keep = 1.5', 'keep'],
    ['too little to keep', 'keep = 0', 'keep'],
    ['an unknown mode', 'verity = "maybe"', 'verity'],
    ['an unknown switch', '[stack.a]\nswitch = "hot"', 'stack.a.switch'],
    ['a relative mountpoint', '[stack.a]\nmountpoint = "srv"', 'stack.a.mountpoint'],
    ['a mountpoint with ..', '[stack.a]\nmountpoint = "/srv/../etc"', 'stack.a.mountpoint'],
    ['a mountpoint with a final /', '[stack.a]\nmountpoint = "/srv/"', 'stack.a.mountpoint'],
    ['no images', '[stack.a]\nimages = []', 'stack.a.images'],
    ['an image twice', '[stack.a]\nimages = ["os", "os"]', 'stack.a.images'],
    ['an image that is no name', '[stack.a]\nimages = ["os 1"]', 'stack.a.images'],
    ['a stack that is no name', '[stack."a.b"]\nmountpoint = "/x"', 'stack.a.b'],
    ['a stack that is no table', 'stack.a = 5', 'stack.a'],
    ['a date', 'stack = 2030-01-01', 'stack'],
    ['a name of every object', '[stack.constructor]\nprototype = 1', 'stack.constructor.prototype'],
  ])('%s, with file and key', (_, text, key) => {
    const wanted = { code: 'usage', where: 'a.toml', facts: { key } };
    expect(() => parseConfiguration(text, 'a.toml')).toThrow(expect.objectContaining(wanted));
  });

  it('what is no TOML, with the line', () => {
    expect(() => parseConfiguration('url = "x"\nchannel = \n', 'a.toml')).toThrow(
      expect.objectContaining({ code: 'usage', where: 'a.toml:2' }),
    );
  });

  it.each([
    ['no url', '[stack.a]\nmountpoint = "/x"', 'url'],
    ['no stack', 'url = "https://a.example/"', '[stack.NAME]'],
    ['a stack without mountpoint', 'url = "https://a.example/"\n[stack.a]\nimages = ["os"]', 'stack.a.mountpoint'],
  ])('%s in any of its files', (_, text, key) => {
    expect(() => readConfiguration({ root: files({ 'osupd.toml': text }) })).toThrow(
      expect.objectContaining({ code: 'usage', facts: { key } }),
    );
  });

  it('two stacks on one mountpoint', () => {
    const text = 'url = "https://a.example/"\n[stack.a]\nmountpoint = "/x"\n[stack.b]\nmountpoint = "/x"\n';
    expect(() => readConfiguration({ root: files({ 'osupd.toml': text }) })).toThrow(/a and b/);
  });
});

describe('the images of a stack', () => {
  const stack = { mountpoint: '/x', switch: 'live', etc: 'merge' } as const;

  it('are those configured, else the only release, else os', () => {
    expect(imagesOfStack('s', { ...stack, images: ['kiosk', 'os'] }, ['os'])).toEqual(['kiosk', 'os']);
    expect(imagesOfStack('s', stack, ['router'])).toEqual(['router']);
    expect(imagesOfStack('s', stack, ['kiosk', 'os'])).toEqual(['os']);
  });

  it('are asked for, with the names to choose from, when nothing decides', () => {
    expect(() => imagesOfStack('s', stack, ['b', 'a'])).toThrow(
      expect.objectContaining({ code: 'usage', where: 'stack.s.images', message: expect.stringContaining('has a, b') }),
    );
    expect(() => imagesOfStack('s', stack, [])).toThrow(/has no release/);
  });

  it('of a stack that is not configured are not found', () => {
    const configuration = readConfiguration({ root: files({ 'osupd.toml': MINIMAL }) });
    expect(stackNamed(configuration, 'system').mountpoint).toBe('/srv/system');
    expect(() => stackNamed(configuration, 'constructor')).toThrow(expect.objectContaining({ code: 'not-found' }));
  });
});
