//! Somebody who sends so slowly that each message would take hours.

use super::*;
use futures::{AsyncRead, AsyncWrite, AsyncWriteExt, StreamExt};
use libp2p::request_response::{self, Codec, ProtocolSupport};
use libp2p::swarm::SwarmEvent;
use libp2p::{Multiaddr, SwarmBuilder, noise, tcp, yamux};
use std::io;

/// Promises the longest message and sends a byte of it now and then.
#[derive(Clone, Default)]
struct Drip;

impl Codec for Drip {
    type Protocol = StreamProtocol;
    type Request = ();
    type Response = ();

    async fn read_request<T: AsyncRead + Unpin + Send>(&mut self, _: &StreamProtocol, _: &mut T) -> io::Result<()> {
        Ok(())
    }

    async fn read_response<T: AsyncRead + Unpin + Send>(&mut self, _: &StreamProtocol, _: &mut T) -> io::Result<()> {
        Ok(())
    }

    async fn write_request<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        io: &mut T,
        (): (),
    ) -> io::Result<()> {
        io.write_all(&(MAX_MESSAGE as u16).to_be_bytes()).await?;
        loop {
            io.write_all(&[1]).await?;
            io.flush().await?;
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }

    async fn write_response<T: AsyncWrite + Unpin + Send>(
        &mut self,
        _: &StreamProtocol,
        _: &mut T,
        (): (),
    ) -> io::Result<()> {
        Ok(())
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn who_sends_drop_by_drop_is_cut_off_and_does_not_keep_others_from_being_heard() {
    let deadline = Duration::from_secs(2);
    let impatient = Kind { answer_deadline: deadline, ..USUAL };
    let (mut bo, mut ann) = (Node::of_kind(2, impatient).await, Node::start(3).await);
    ann.connect(&mut bo).await;
    let mut eve = SwarmBuilder::with_new_identity()
        .with_tokio()
        .with_tcp(tcp::Config::default(), noise::Config::new, yamux::Config::default)
        .unwrap()
        .with_behaviour(|_| {
            let patient = request_response::Config::default().with_request_timeout(PATIENCE);
            request_response::Behaviour::<Drip>::new([(signalling::PROTOCOL, ProtocolSupport::Outbound)], patient)
        })
        .unwrap()
        .build();
    let address: Multiaddr = format!("/ip4/127.0.0.1/tcp/{}", bo.addresses[0].port).parse().unwrap();
    eve.dial(address).unwrap();
    let peer = loop {
        if let SwarmEvent::ConnectionEstablished { peer_id, .. } = eve.select_next_some().await {
            break peer_id;
        }
    };
    let begun = Instant::now();
    let streams = 40;
    for _ in 0..streams {
        eve.behaviour_mut().send_request(&peer, ());
    }
    ann.send(&bo, b"hello", 1);
    let dripping = tokio::spawn(async move {
        let mut failed = 0;
        while failed < streams {
            if let SwarmEvent::Behaviour(request_response::Event::OutboundFailure { .. }) = eve.select_next_some().await
            {
                failed += 1;
            }
        }
        begun.elapsed()
    });
    let (from, bytes, receipt) = bo.message().await;
    assert_eq!((from, &bytes[..]), (ann.id, &b"hello"[..]), "nothing of Eve's is a message");
    bo.handle.command(Command::Acknowledge { receipt });
    ann.until(|event| (event == Event::Delivered { to: bo.id, id: 1 }).then_some(())).await;
    let took = timeout(PATIENCE, dripping).await.expect("Eve is cut off").unwrap();
    assert!(took >= deadline && took < deadline + Duration::from_secs(8), "{took:?}");
}
