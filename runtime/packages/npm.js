// Install packages from the operator's directory of tarballs. npm wants a registry: this is one,
// on loopback, for as long as the installation takes. It looks only into the tarballs that npm asks
// for, by the names that `npm pack` gives them. Says what npm says on stderr, and on stdout what
// was installed, as JSON.
'use strict';
const crypto = require('crypto');
const fs = require('fs');
const http = require('http');
const path = require('path');
const zlib = require('zlib');
const { spawn } = require('child_process');

const MIRROR = '/opt/secureagent/packages';
const PREFIX = '/workspace';
const DEPTH = 4, TARBALL_MAX = 256 << 20, MANIFEST_MAX = 4 << 20;

function tarballs(folder, depth) {
  const found = [];
  for (const entry of fs.readdirSync(folder, { withFileTypes: true })) {
    const whole = path.join(folder, entry.name);
    if (entry.isDirectory() && depth > 0) found.push(...tarballs(whole, depth - 1));
    else if (entry.name.endsWith('.tgz')) found.push(whole);
  }
  return found;
}

// package.json of a tarball: in the first folder, whatever it is called.
function manifest(data) {
  const tar = zlib.gunzipSync(data, { maxOutputLength: TARBALL_MAX });
  for (let at = 0; at + 512 <= tar.length && tar[at] !== 0;) {
    const text = (from, length) => tar.toString('utf8', at + from, at + from + length).split('\0')[0];
    const size = parseInt(text(124, 12).trim() || '0', 8);
    const type = text(156, 1) || '0';
    if (/^[^/]+\/package\.json$/.test(text(0, 100)) && type === '0' && size <= MANIFEST_MAX)
      return JSON.parse(tar.toString('utf8', at + 512, at + 512 + size));
    at += 512 + Math.ceil(size / 512) * 512;
  }
  throw new Error('no package.json');
}

function compare(a, b) {  // newest last; a release after its pre-releases
  const parts = (v) => v.split('+')[0].split('-');
  const [x, y] = [parts(a), parts(b)];
  const [p, q] = [x[0].split('.').map(Number), y[0].split('.').map(Number)];
  for (let i = 0; i < 3; i++) if ((p[i] || 0) !== (q[i] || 0)) return (p[i] || 0) - (q[i] || 0);
  if ((x.length > 1) !== (y.length > 1)) return x.length > 1 ? -1 : 1;
  return a < b ? -1 : a > b ? 1 : 0;
}

if (!fs.existsSync(MIRROR)) {
  console.error('this server offers no packages, and sandboxes have no network: it is started with --package-mirror DIR');
  process.exit(1);
}
const files = tarballs(MIRROR, DEPTH);
const read = new Map(); // file -> [manifest, integrity], or null

function look(file) {
  if (!read.has(file)) {
    try {
      const data = fs.readFileSync(file);
      const integrity = 'sha512-' + crypto.createHash('sha512').update(data).digest('base64');
      read.set(file, [manifest(data), integrity]);
    } catch (error) {
      console.error(`npm: ${path.basename(file)}: ${error.message}`);
      read.set(file, null);
    }
  }
  return read.get(file);
}

function describe(name, address) {
  const start = name.replace(/^@/, '').replace('/', '-') + '-';
  const short = name.replace(/^.*\//, '') + '-';
  const versions = {};
  for (let i = 0; i < files.length; i++) {
    const base = path.basename(files[i]);
    if (!base.startsWith(start) && !base.startsWith(short)) continue;
    const found = look(files[i]);
    if (!found || found[0].name !== name || !found[0].version) continue;
    versions[found[0].version] = { ...found[0], dist: { tarball: `${address}/-/${i}.tgz`, integrity: found[1] } };
  }
  const order = Object.keys(versions).sort(compare);
  if (order.length === 0) return null;
  const releases = order.filter((v) => !v.includes('-'));
  return { name, versions, 'dist-tags': { latest: (releases.length ? releases : order).pop() } };
}

function serve(request, response) {
  const address = `http://127.0.0.1:${request.socket.localPort}`;
  const tarball = /^\/-\/(\d+)\.tgz$/.exec(request.url);
  if (tarball && files[tarball[1]]) {
    response.writeHead(200, { 'Content-Type': 'application/octet-stream' });
    fs.createReadStream(files[tarball[1]]).pipe(response);
    return;
  }
  let found = null;
  try {
    found = describe(decodeURIComponent(request.url.slice(1).split('?')[0]), address);
  } catch (error) { // no name at all
  }
  response.writeHead(found ? 200 : 404, { 'Content-Type': 'application/json' });
  response.end(JSON.stringify(found || { error: 'not in the directory of packages' }));
}

function installed() {  // as npm's own record of node_modules has it
  try {
    const lock = JSON.parse(fs.readFileSync(path.join(PREFIX, 'node_modules/.package-lock.json'), 'utf8'));
    return Object.entries(lock.packages || {}).filter(([, about]) => about.version)
      .map(([where, about]) => ({ name: about.name || where.replace(/^.*node_modules\//, ''), version: about.version }));
  } catch (error) {
    return [];
  }
}

const names = process.argv.slice(2);
const server = http.createServer(serve);
server.listen(0, '127.0.0.1', () => {
  const before = new Set(installed().map((p) => `${p.name}@${p.version}`));
  const npm = spawn('npm', ['install', '--prefix', PREFIX, '--registry', `http://127.0.0.1:${server.address().port}`,
    '--no-audit', '--no-fund', '--no-update-notifier', '--no-progress', '--', ...names], { stdio: ['ignore', 2, 2] });
  npm.on('error', (error) => { console.error(`npm: ${error.message}`); process.exit(127); });
  npm.on('close', (status) => {
    if (status !== 0) process.exit(status === null ? 1 : status);
    const asked = new Set(names.map((n) => n.replace(/(?<=.)@.*$/, '')));
    console.log(JSON.stringify(installed().filter((p) => !before.has(`${p.name}@${p.version}`) || asked.has(p.name))));
    process.exit(0);
  });
});
