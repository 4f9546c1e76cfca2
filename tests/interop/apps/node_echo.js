// An echo server of Node's `ws`: node node_echo.js PORT [CERTIFICATE], with NODE_PATH naming its node_modules.
'use strict';

const fs = require('fs');
const { WebSocketServer } = require('ws');

const [port, certificate] = process.argv.slice(2);
const pem = certificate && fs.readFileSync(certificate);
const server = pem
  ? require('https').createServer({ key: pem, cert: pem })
  : require('http').createServer();

const sockets = new WebSocketServer({
  server,
  maxPayload: 1 << 28,
  perMessageDeflate: { threshold: 0 },
  handleProtocols: (offered) => (offered.has('chat') ? 'chat' : false),
});

sockets.on('connection', (socket) => {
  socket.on('error', () => {});
  socket.on('message', (data, binary) => {
    const text = binary ? null : data.toString();
    if (text === 'close me') {
      socket.close(4001, 'bye');
    } else if (text === 'fragment me') {
      socket.send('one ', { fin: false });
      socket.send('two ', { fin: false });
      socket.send('three', { fin: true });
    } else {
      socket.send(data, { binary });
    }
  });
});

server.listen(Number(port), '127.0.0.1');
