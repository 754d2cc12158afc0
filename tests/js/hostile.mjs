// Neighbours that nobody wants, and that know more than they should.
//
//   node hostile.mjs providers IP LINK COUNT MULTIADDR    that many nodes say that they are members of the session, and answer when they are called
//   node hostile.mjs signals IP MULTIADDR SECONDS         nodes that come and go and pour noise into the session's signalling
//
// The link's keys are derived here as the protocol's description has them, once more and on purpose.
import { noise } from '@chainsafe/libp2p-noise'
import { yamux } from '@chainsafe/libp2p-yamux'
import { identify } from '@libp2p/identify'
import { kadDHT, removePrivateAddressesMapper } from '@libp2p/kad-dht'
import { ping } from '@libp2p/ping'
import { tcp } from '@libp2p/tcp'
import { multiaddr } from '@multiformats/multiaddr'
import { createLibp2p } from 'libp2p'
import { CID } from 'multiformats/cid'
import * as Digest from 'multiformats/hashes/digest'
import { createHash, createHmac, randomBytes } from 'node:crypto'

const SIGNALLING = '/resonance/signal/1'

function node (ip, services) {
  return createLibp2p({
    addresses: { listen: [`/ip4/${ip}/tcp/0`] },
    transports: [tcp()],
    connectionEncrypters: [noise()],
    streamMuxers: [yamux()],
    // In milliseconds: on a busy machine a handshake takes its time.
    connectionManager: { dialTimeout: 30000, outboundUpgradeTimeout: 30000, protocolNegotiationTimeout: 30000 },
    services: { identify: identify(), ping: ping(), ...services }
  })
}

// Base58 as a big number; a link has no leading zero.
function linkBytes (link) {
  const digits = '123456789ABCDEFGHJKLMNPQRSTUVWXYZabcdefghijkmnopqrstuvwxyz'
  let number = 0n
  for (const digit of link.replace(/^resonance:(\/\/)?/, '')) {
    number = number * 58n + BigInt(digits.indexOf(digit))
  }
  const hex = number.toString(16)
  return Buffer.from(hex.length % 2 ? '0' + hex : hex, 'hex')
}

function rendezvous (link, seconds) {
  const bytes = linkBytes(link)
  const [bound, secret] = [bytes.subarray(0, 58), bytes.subarray(58, 74)]
  const salt = createHash('sha256').update(bound).digest()
  const prk = createHmac('sha256', salt).update(secret).digest()
  const hour = Buffer.alloc(8)
  hour.writeBigUInt64BE(BigInt(Math.floor(seconds / 3600)))
  const info = Buffer.concat([Buffer.from('resonance/v1/rendezvous'), hour, Buffer.from([1])])
  return createHmac('sha256', prk).update(info).digest()
}

async function providers (ip, link, count, server) {
  const SHA2_256 = 0x12
  const RAW = 0x55
  const key = CID.createV1(RAW, Digest.create(SHA2_256, rendezvous(link, Date.now() / 1000)))
  const dht = () => kadDHT({ protocol: '/ipfs/kad/1.0.0', clientMode: true, peerInfoMapper: removePrivateAddressesMapper })
  let said = 0
  // Some at a time: each is a node of its own, and stays.
  const work = Array.from({ length: Number(count) }, (_, number) => number)
  const worker = async () => {
    while (work.pop() !== undefined) {
      const liar = await node(ip, { dht: dht() })
      try {
        await liar.dial(multiaddr(server))
        await liar.contentRouting.provide(key, { signal: AbortSignal.timeout(20000) })
        said++
      } catch (error) {
        console.error(String(error))
      }
    }
  }
  await Promise.all(Array.from({ length: 8 }, worker))
  console.log(`${said} strangers say that they are members`)
}

async function signals (ip, target, seconds) {
  const end = Date.now() + Number(seconds) * 1000
  let [streams, refused] = [0, 0]
  const flood = async () => {
    while (Date.now() < end) {
      let stranger
      try {
        stranger = await node(ip, {})
        const connection = await stranger.dial(multiaddr(target), { signal: AbortSignal.timeout(5000) })
        for (let number = 0; number < 200 && Date.now() < end; number++) {
          const stream = await connection.newStream(SIGNALLING)
          const length = 1 + Math.floor(Math.random() * 20000)
          const frame = randomBytes(2 + length)
          frame.writeUInt16BE(length)
          stream.send(frame)
          stream.close().catch(() => {})
          streams++
        }
      } catch {
        refused++
      }
      await stranger?.stop()
    }
  }
  await Promise.all([flood(), flood(), flood(), flood()])
  console.log(`${streams} messages of noise were sent, and refused ${refused} times`)
}

const [mode, ip, ...rest] = process.argv.slice(2)
await { providers, signals }[mode](ip, ...rest)
