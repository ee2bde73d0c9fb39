// Node.js step: turns the files of the Python step into a small report.
const fs = require('fs');

const facts = JSON.parse(fs.readFileSync('summary.json', 'utf8'));
const [head, ...rows] = fs.readFileSync('daily.csv', 'utf8').trim().split(/\r?\n/);
const column = Object.fromEntries(head.split(',').map((name, i) => [name, i]));

const quarters = [0, 0, 0, 0];
for (const row of rows) {
  const cells = row.split(',');
  const month = Number(cells[column.date].slice(5, 7));
  quarters[Math.floor((month - 1) / 3)] += Number(cells[column.consumption_kwh]);
}
const most = Math.max(...quarters);
const lines = quarters.map((kwh, i) =>
  `Q${i + 1} ${'#'.repeat(Math.round(30 * kwh / most)).padEnd(30)} ${Math.round(kwh / 1000)} MWh`);

const total = quarters.reduce((a, b) => a + b, 0);
if (Math.abs(total - facts.consumptionKwh) > 60)
  throw new Error(`the two files disagree: ${total} and ${facts.consumptionKwh}`);
fs.writeFileSync('report.md', `# ${facts.year}\n\n${lines.join('\n')}\n`);
console.log(lines.join('\n'));
