#!/bin/bash
# A web server in node, with fetch, WebSocket-like upgrades and datagrams.
# needs: node
cat >s.js <<'N'
const http = require('http'), net = require('net'), dgram = require('dgram');
const server = http.createServer((q, a) => {
	let n = 0;
	q.on('data', d => n += d.length);
	q.on('end', () => { a.setHeader('x-n', n); a.end('got ' + n + ' ' + q.url + 'y'.repeat(100000)); });
});
server.on('upgrade', (q, s) => { s.write('HTTP/1.1 101 Switching\r\nUpgrade: x\r\nConnection: Upgrade\r\n\r\n'); s.pipe(s); });
server.listen(0, '127.0.0.1', async () => {
	const port = server.address().port, url = 'http://127.0.0.1:' + port;
	const texts = await Promise.all([...Array(30).keys()].map(async i => {
		const r = await fetch(url + '/' + i, {method: 'POST', body: 'z'.repeat(i * 5000)});
		return r.headers.get('x-n') + (await r.text()).length;
	}));
	console.log(texts.join());
	await new Promise(done => {
		const c = net.connect(port, '127.0.0.1');
		c.write('GET / HTTP/1.1\r\nHost: x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n');
		let all = '';
		c.on('data', d => { if (!all) c.end('ping'); all += d; });
		c.on('end', () => { console.log(all.includes('101'), all.endsWith('ping')); done(); });
	});
	await new Promise(done => {
		const u = dgram.createSocket('udp4');
		u.bind(0, '127.0.0.1', () => u.send('hello', u.address().port, '127.0.0.1'));
		u.on('message', (m, from) => { console.log(String(m), from.address, from.size); u.close(done); });
	});
	await fetch('http://127.0.0.1:1/').catch(e => console.log(e.cause.code));
	const t = net.connect(port, '127.0.0.1', () => { t.resetAndDestroy(); });
	t.on('close', () => { server.close(() => console.log('closed')); server.closeAllConnections(); });
});
N
node s.js
rm s.js
