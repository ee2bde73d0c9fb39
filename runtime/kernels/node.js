/*
 * The Node.js kernel: runs one piece of code after the other in one live process.
 *
 * Descriptor 3 is a stream socket to the control plane. Towards us: u32 length (little-endian) and
 * that much JSON. From us: u32 length, the token that came with the first message, JSON; so bytes
 * that user code writes to the socket are no frames. What JavaScript prints goes as frames, in
 * order, each at once (nothing could send it later from within an endless loop); what child
 * processes print goes through the real descriptors 1 and 2.
 *
 * Code is evaluated through V8's inspector in the mode of the DevTools console: `await` at the top
 * level, and `const`, `let` and `class` may be declared again. That happens within a vm script, so
 * that SIGINT breaks loops; what waits for a promise is given up by our own handler, or by the
 * message `interrupt` that follows the signal, as one that comes while a script ends is lost.
 */
'use strict';
const fs = require('fs');
const inspector = require('inspector');
const module_ = require('module');
const net = require('net');
const { Readable } = require('stream');
const util = require('util');
const vm = require('vm');

const PIECE_BYTES = 65536, TEXT_MAX = 1 << 20, BUNDLE_MAX = 3500000, JSON_MAX = 100000, MIMES_MAX = 24;
const MIME = /^[a-z0-9][a-z0-9!#$&^_.+-]{0,63}\/[a-z0-9][a-z0-9!#$&^_.+-]{0,127}$/;
const isJson = (mime) => mime === 'application/json' || mime.endsWith('+json');
const DISPLAY = Symbol.for('Jupyter.display');
const EVALUATE = Symbol.for('secureagent.evaluate');
const KEEP = Symbol.for('secureagent.keep');

let token = Buffer.alloc(0), inbox = Buffer.alloc(0);
let current = null; // {id, resolve, env, stdin} of what runs
let count = 0, expression = '', kept, answered;
const sleeper = new Int32Array(new SharedArrayBuffer(4));
const session = new inspector.Session();
session.connect();

// ---- frames out ----

function writeAll(data) {
  for (let at = 0; at < data.length;) {
    try {
      at += fs.writeSync(3, data, at);
    } catch (error) {
      if (error.code !== 'EAGAIN') process.reallyExit(0);
      Atomics.wait(sleeper, 0, 0, 1);
    }
  }
}

function frame(message) {
  const body = Buffer.from(JSON.stringify(message)), head = Buffer.alloc(4);
  head.writeUInt32LE(token.length + body.length);
  return Buffer.concat([head, token, body]);
}

function clean(text, most = TEXT_MAX) {
  if (text.length > most) text = text.slice(0, most) + `… (${text.length - most} more characters)`;
  return text.toWellFormed ? text.toWellFormed().replaceAll('\0', '\ufffd')
    : Buffer.from(text.replaceAll('\0', '\ufffd')).toString();
}

function print(type, chunk, encoding) {
  const data = typeof chunk === 'string' ? Buffer.from(chunk, encoding) : Buffer.from(chunk);
  for (let at = 0, end; at < data.length; at = end) {
    end = Math.min(at + PIECE_BYTES, data.length);
    while (end < data.length && end > at + 1 && (data[end] & 0xc0) === 0x80) end--;
    const piece = data.subarray(at, end), text = piece.toString();
    writeAll(frame(text.includes('\0') || !Buffer.from(text).equals(piece)
      ? { type, encoding: 'base64', data: piece.toString('base64') } : { type, data: text }));
  }
}

function replaceWrite(stream, type) {
  stream.write = (chunk, encoding, done) => {
    if (typeof encoding === 'function') [encoding, done] = [undefined, encoding];
    print(type, chunk, encoding);
    if (typeof done === 'function') process.nextTick(done);
    return true;
  };
}

// ---- results and errors ----

function mimeValue(mime, value) {
  if (value === undefined || value === null) return undefined;
  if (isJson(mime)) {
    const text = JSON.stringify(value);
    return text !== undefined && text.length < JSON_MAX && !text.includes('\\u0000') &&
      text.isWellFormed?.() !== false && depth(value) < 50 ? value : undefined;
  }
  if (value instanceof Uint8Array) return Buffer.from(value).toString('base64');
  return clean(String(value), mime === 'text/plain' ? TEXT_MAX : BUNDLE_MAX);
}

function depth(value, at = 0) {
  if (typeof value !== 'object' || value === null || at > 50) return at;
  return Object.values(value).reduce((most, v) => Math.max(most, depth(v, at + 1)), at + 1);
}

function bundleOf(value) {
  const data = {}, json = [];
  try {
    const own = value?.[DISPLAY];
    const found = typeof own === 'function' ? Object.entries(own.call(value)).slice(0, MIMES_MAX) : [];
    for (const [mime, v] of found) {
      const checked = MIME.test(mime) ? mimeValue(mime, v) : undefined;
      if (checked === undefined) continue;
      if (isJson(mime)) json.push({ mime, value: checked });
      else data[mime] = checked;
    }
  } catch { /* then it is shown as any value */ }
  if (!Object.keys(data).length && !json.length) data['text/plain'] = inspected(value);
  return { data, json };
}

function inspected(value) {
  try {
    const text = util.inspect(value);
    return clean(util.types.isNativeError(value) || util.types.isPromise(value) ? cutInside(text) : text);
  } catch (error) {
    return `<a value that cannot be inspected: ${error?.name}>`;
  }
}

const resultFrame = (value, main) => frame({ type: 'result', ...bundleOf(value), main });

const OWN_LINE = /^\s+at .*(node:inspector|kernels\/node\.js|sigintHandlersWrap|Script\.runInThisContext)/;
const cutInside = (text) => text.split('\n').filter((line) => !OWN_LINE.test(line) &&
  !/^\s+\.\.\. \d+ lines matching/.test(line)).join('\n');

// The stack as it is below the user's code.
function cutStack(stack) {
  const lines = String(stack).split('\n');
  const own = lines.findIndex((line) => OWN_LINE.test(line));
  return (own < 0 ? lines : lines.slice(0, own)).join('\n');
}

function errorFrame(error, details, code) {
  let name = 'Error', value = '', text = '';
  try {
    if (util.types.isNativeError(error) || error instanceof Error) {
      name = String(error.name);
      value = String(error.message);
      text = cutStack(error.stack ?? `${name}: ${value}`);
      if (error.cause !== undefined) text += `\n[cause]: ${cutStack(error.cause?.stack ?? util.inspect(error.cause))}`;
    } else {
      name = 'Uncaught';
      value = text = util.inspect(error);
    }
  } catch { text = 'an error that cannot be inspected'; }
  if (details && name === 'SyntaxError' && !/^\s+at /m.test(text)) {
    const line = code.split('\n')[details.lineNumber] ?? '';
    text = `<cell-${count}>:${details.lineNumber + 1}\n${line}\n${' '.repeat(details.columnNumber)}^\n${text}`;
  }
  return frame({ type: 'error', name: clean(name, 200), value: clean(value, 65536), traceback: clean(text) });
}

// ---- evaluation ----

class Exit extends Error {
  constructor(code) {
    super(String(code));
    this.name = 'Exit';
    this.code = code;
  }
}

// Code of ES modules: static imports become dynamic ones, and import() goes through a function of
// ours, of a name of the same length, as V8's inspector offers no loader.
function adapt(code) {
  if (!/\bimport\b/.test(code)) return code;
  const from = (spec) => `(await __imp_(${spec}));`;
  return code
    .replace(/^([ \t]*)import\s+([\w$]+)\s*,\s*\{([^}]*)\}\s*from\s*(['"][^'"\n]+['"])/gm,
      (_, space, name, names, spec) => `${space}const {default: ${name}, ${names.replace(/\s+as\s+/g, ': ')}} = ${from(spec)}`)
    .replace(/^([ \t]*)import\s+\*\s*as\s+([\w$]+)\s+from\s*(['"][^'"\n]+['"])/gm,
      (_, space, name, spec) => `${space}const ${name} = ${from(spec)}`)
    .replace(/^([ \t]*)import\s*\{([^}]*)\}\s*from\s*(['"][^'"\n]+['"])/gm,
      (_, space, names, spec) => `${space}const {${names.replace(/\s+as\s+/g, ': ')}} = ${from(spec)}`)
    .replace(/^([ \t]*)import\s+([\w$]+)\s+from\s*(['"][^'"\n]+['"])/gm,
      (_, space, name, spec) => `${space}const {default: ${name}} = ${from(spec)}`)
    .replace(/^([ \t]*)import\s*(['"][^'"\n]+['"])/gm, (_, space, spec) => `${space}await __imp_(${spec});`)
    .replace(/(^|[^.\w$'"`])import(?=\s*\()/g, '$1__imp_');
}

function importer() {
  const options = vm.constants?.USE_MAIN_CONTEXT_DEFAULT_LOADER
    ? { filename: process.cwd() + '/[context]', importModuleDynamically: vm.constants.USE_MAIN_CONTEXT_DEFAULT_LOADER }
    : { importModuleDynamically: (spec) => import(spec) };
  return new vm.Script('(spec, options) => import(spec, options)', options).runInThisContext();
}

// The loader is called experimental, once, when it is first used: not to the user.
async function useImporter() {
  const warn = process.emitWarning;
  process.emitWarning = () => {};
  await importer()('fs');
  process.emitWarning = warn;
}

const breakable = new vm.Script('globalThis[Symbol.for("secureagent.evaluate")]()', { filename: __filename });

function hide(name, value) {
  Object.defineProperty(globalThis, name, { value, configurable: true, writable: true, enumerable: false });
}
hide(EVALUATE, () => {
  session.post('Runtime.evaluate', { expression, replMode: true, silent: true, objectGroup: 'run' }, answered);
});
hide(KEEP, (value) => { kept = value; });

// What the inspector answered, as the value itself.
function valueOf(remote) {
  if (!remote.objectId) {
    if (remote.type === 'undefined') return undefined;
    if (remote.unserializableValue === undefined) return remote.value;
    const text = remote.unserializableValue;
    return text.endsWith('n') ? BigInt(text.slice(0, -1)) : Number(text);
  }
  kept = undefined;
  session.post('Runtime.callFunctionOn', {
    objectId: remote.objectId, silent: true,
    functionDeclaration: 'function() { globalThis[Symbol.for("secureagent.keep")](this) }',
  });
  const value = kept;
  kept = undefined;
  return value;
}

function evaluate(code, id) {
  expression = `${adapt(code)}\n//# sourceURL=<cell-${count}>`;
  answered = (error, answer) => {
    if (current?.id !== id) return;
    if (error) return finish(id, [errorFrame(new Error(error.message))], 1);
    const value = valueOf(answer.result);
    session.post('Runtime.releaseObjectGroup', { objectGroup: 'run' });
    if (!answer.exceptionDetails) {
      return finish(id, value === undefined ? [] : [resultFrame(value, true)], 0);
    }
    if (value instanceof Exit) return exited(id, value);
    if (childWasInterrupted(value)) return interrupted(id);
    finish(id, [errorFrame(value, answer.exceptionDetails, code)], 1);
  };
  try {
    breakable.runInThisContext({ breakOnSigint: true });
  } catch (error) {
    if (error?.code === 'ERR_SCRIPT_EXECUTION_INTERRUPTED') interrupted(id);
    else finish(id, [errorFrame(error)], 1);
  }
}

// The signal goes to all that runs: what waited for a child may learn of the child's end before its own.
function childWasInterrupted(error) {
  return error instanceof Error && 'pid' in error && (error.signal === 'SIGINT' || error.status === 130);
}

function interrupted(id) {
  finish(id, [frame({ type: 'error', name: 'Interrupted', value: 'interrupted', traceback: 'Interrupted\n' })], 130);
}

function exited(id, exit) {
  finish(id, exit.code ? [errorFrame(exit)] : [], exit.code);
}

function finish(id, frames, exitCode) {
  if (current?.id !== id) return;
  const { env, cpu } = current;
  current = null;
  for (const [name, value] of Object.entries(env)) {
    if (value === undefined) delete process.env[name];
    else process.env[name] = value;
  }
  const used = process.cpuUsage(cpu);
  frames.push(frame({ type: 'done', id, exitCode, cpuUs: used.user + used.system,
    memoryBytes: process.resourceUsage().maxRSS * 1024 }));
  writeAll(Buffer.concat(frames));
}

// ---- stdin ----

function makeStdin() {
  return new Readable({
    read() {
      if (!current || !current.input) this.push(null);
      else writeAll(frame({ type: 'input', prompt: '', password: false }));
    },
  });
}

function gotInput(message) {
  if (!current || message.id !== current.id || !current.stdin) return;
  const data = Buffer.from(message.data, 'base64');
  if (message.eof) current.input = false;
  if (data.length) current.stdin.push(data);
  else if (message.eof) current.stdin.push(null);
}

Object.defineProperty(process, 'stdin', {
  configurable: true,
  get() {
    if (!current) return makeStdin();
    return (current.stdin ??= Object.assign(makeStdin(), { fd: 0, isTTY: false }));
  },
});

// ---- messages in ----

function execute(message) {
  count++;
  const env = {};
  for (const [name, value] of Object.entries(message.env ?? {})) {
    env[name] = process.env[name];
    process.env[name] = value;
  }
  current = { id: message.id, env, input: Boolean(message.input), cpu: process.cpuUsage() };
  evaluate(message.code, message.id);
}

async function init(message) {
  let answer = { type: 'ready', pid: process.pid, version: process.versions.node };
  await useImporter();
  for (const name of message.imports ?? []) {
    try {
      const key = name.replace(/^node:/, '').replace(/^.*\//, '').replace(/[^\w$]/g, '_');
      hide(key, await globalThis.__imp_(name).then((m) => m.default ?? m));
    } catch (error) {
      answer = { type: 'failed', import: name, name: error?.name ?? 'Error', value: clean(String(error?.message), 400) };
      break;
    }
  }
  token = Buffer.from(message.token);
  writeAll(frame(answer));
}

function dispatch(message) {
  if (message.type === 'execute') execute(message);
  else if (message.type === 'input') gotInput(message);
  else if (message.type === 'interrupt') interrupted(message.id);
  else if (message.type === 'init') init(message);
}

function onData(data) {
  inbox = inbox.length ? Buffer.concat([inbox, data]) : data;
  while (inbox.length >= 4 && inbox.length >= 4 + inbox.readUInt32LE()) {
    const end = 4 + inbox.readUInt32LE(), message = JSON.parse(inbox.subarray(4, end).toString());
    inbox = inbox.subarray(end);
    dispatch(message);
  }
}

function setGlobals() {
  const require_ = module_.createRequire(process.cwd() + '/');
  hide('require', require_);
  hide('module', { exports: {} });
  hide('exports', globalThis.module.exports);
  hide('__imp_', (...all) => importer()(...all));
  hide('display', (...values) => values.forEach((v) => writeAll(resultFrame(v, false))));
  for (const name of module_.builtinModules.filter((n) => /^[a-z]\w+$/.test(n) && !(n in globalThis))) {
    Object.defineProperty(globalThis, name, {
      configurable: true, get: () => require_(name), set: (value) => hide(name, value),
    });
  }
  process.exit = (code) => { throw new Exit((code ?? process.exitCode ?? 0) & 255); };
  process.argv = [process.argv[0], ''];
}

function main() {
  replaceWrite(process.stdout, 'stdout');
  replaceWrite(process.stderr, 'stderr');
  setGlobals();
  process.on('SIGINT', () => { if (current) interrupted(current.id); });
  process.on('uncaughtException', (error) => {
    if (error instanceof Exit) {
      if (current) exited(current.id, error);
    } else {
      print('stderr', `Uncaught ${cutStack(error?.stack ?? util.inspect(error))}\n`);
    }
  });
  process.on('unhandledRejection', (error) => {
    print('stderr', `Uncaught (in promise) ${cutStack(error?.stack ?? util.inspect(error))}\n`);
  });
  const socket = new net.Socket({ fd: 3, readable: true, writable: false });
  socket.on('data', onData);
  socket.on('close', () => process.reallyExit(0));
  socket.on('error', () => process.reallyExit(0));
}

main();
