// Visitors: some look, some buy, one in ten is a tester.
const { WEB_URL } = process.env;
const visits = [
  ['GET', '/'],
  ['GET', '/product/1'],
  ['GET', '/product/3'],
  ['GET', '/product/4'],
  ['POST', '/cart/2'],
  ['POST', '/checkout'],
];
let failed = 0;

async function visit() {
  const [method, path] = visits[Math.floor(Math.random() * visits.length)];
  const user = Math.random() < 0.1 ? 'tester' : 'guest';
  try {
    const answer = await fetch(WEB_URL + path, { method, headers: { 'x-user': user } });
    await answer.arrayBuffer();
    if (!answer.ok) throw new Error(`status ${answer.status}`);
    failed = 0;
  } catch (error) {
    if (failed++ === 0) console.log(`${method} ${path} failed: ${error.cause?.message ?? error.message}`);
  }
}

setInterval(visit, 1000 / Number(process.env.VISITS_PER_SECOND ?? 20));
