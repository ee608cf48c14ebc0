// A test application that calls a service all the time over kept connections, and after SIGTERM writes down what came of it:
// what it had begun is completed, and nothing is begun any more.
import { writeFileSync } from 'node:fs';
import http from 'node:http';

const agent = new http.Agent({ keepAlive: true, maxSockets: 32 });
const outcomes = {};
let pending = 0;
let ending = false;

function call() {
  pending++;
  const done = (outcome) => {
    outcomes[outcome] = (outcomes[outcome] ?? 0) + 1;
    pending--;
    if (ending && pending === 0) end();
  };
  http
    .get(`${process.env.WEB_URL}/delay/${Math.floor(Math.random() * 50)}`, { agent }, (response) => {
      response.resume();
      response.on('error', (error) => done(`cut off: ${error.message}`));
      response.on('end', () => done(response.statusCode));
    })
    .on('error', (error) => done(error.message));
}

function end() {
  writeFileSync('outcomes.json', JSON.stringify(outcomes));
  process.exit(0);
}

const timer = setInterval(call, 4);
process.on('SIGTERM', () => {
  clearInterval(timer);
  ending = true;
  if (pending === 0) end();
});
