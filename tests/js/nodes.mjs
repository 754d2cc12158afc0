// The public network in small, and not of our making: js-libp2p nodes that serve the DHT, one of which is a relay, too.
//
//   node nodes.mjs IP SERVERS
//
// They listen on TCP ports from 4001 on, know one another, and print their multiaddrs, one a line, the
// relay's last. The relay keeps to the limits that js-libp2p has by default, which are those of the public network: two minutes and 128 KiB.
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { autoNATv2 } from '@libp2p/autonat-v2'
import { circuitRelayServer } from '@libp2p/circuit-relay-v2'
import { identify } from '@libp2p/identify'
import { kadDHT, removePrivateAddressesMapper } from '@libp2p/kad-dht'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { createLibp2p } from 'libp2p'

const [ip, servers] = process.argv.slice(2)
const PORT = 4001
// In milliseconds: on a busy machine a handshake takes its time.
const PATIENCE = 30000

// Everybody's addresses are public here, and a small network has none to spare.
async function start (port, more) {
  const address = `/ip4/${ip}/tcp/${port}`
  return createLibp2p({
    addresses: { listen: [address], announce: [address] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    connectionManager: {
      inboundConnectionThreshold: 1000,
      dialTimeout: PATIENCE,
      inboundUpgradeTimeout: PATIENCE,
      outboundUpgradeTimeout: PATIENCE,
      protocolNegotiationTimeout: PATIENCE
    },
    services: {
      identify: identify(),
      ping: ping(),
      autoNAT: autoNATv2(),
      dht: kadDHT({ protocol: '/ipfs/kad/1.0.0', clientMode: false, peerInfoMapper: removePrivateAddressesMapper }),
      ...more
    }
  })
}

const count = Number(servers)
const nodes = []
for (let number = 0; number <= count; number++) {
  nodes.push(await start(PORT + number, number === count ? { relay: circuitRelayServer() } : {}))
}
for (const [number, node] of nodes.entries()) {
  for (const other of nodes.slice(number + 1)) {
    await node.dial(other.getMultiaddrs())
  }
}
for (const node of nodes) {
  console.log(node.getMultiaddrs()[0].toString())
}
