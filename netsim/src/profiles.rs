//! Links that people have, by name, each with the source of its figures.
//!
//! A profile is what stands between a device and the next router of the Internet, in both directions. Delays are one-way: half of a published
//! round-trip time. Where a source gives no figure for something, [`Profile::chosen`] says what was chosen here.

use crate::impairment::{Impairment, Interruption, Jitter, Loss, Meanwhile, Order, Rate};
use std::time::Duration;

/// A named link.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Profile {
    /// What scenarios call it.
    pub name: &'static str,
    /// From the device to the Internet.
    pub up: Impairment,
    /// From the Internet to the device.
    pub down: Impairment,
    /// Where the figures come from.
    pub source: &'static str,
    /// What the source does not say and was chosen here.
    pub chosen: &'static str,
}

const fn ms(milliseconds: u64) -> Duration {
    Duration::from_millis(milliseconds)
}

const fn us(microseconds: u64) -> Duration {
    Duration::from_micros(microseconds)
}

const PERFECT: Impairment = Impairment {
    delay: Duration::ZERO,
    jitter: None,
    loss: Loss::Never,
    duplicates: 0.0,
    rate: None,
    interruption: None,
};

const fn jitter(median: Duration, ninetieth: Duration, memory: Duration) -> Option<Jitter> {
    Some(Jitter { median, ninetieth, memory, order: Order::Kept })
}

const fn rate(bits: u64, queue: Duration) -> Option<Rate> {
    Some(Rate { bits, queue })
}

const FIBRE: Impairment = Impairment {
    delay: us(5_300),
    jitter: jitter(us(300), us(900), ms(20)),
    loss: Loss::Bernoulli(0.000_1),
    rate: rate(80_000_000, ms(40)),
    ..PERFECT
};

const WIFI: Impairment = Impairment {
    delay: us(200),
    jitter: jitter(us(1_300), us(9_800), ms(50)),
    loss: Loss::GilbertElliott { worsen: 0.000_5, recover: 0.5, bad: 0.5, good: 0.000_5 },
    rate: rate(100_000_000, ms(100)),
    ..PERFECT
};

const BUSY_WIFI: Impairment = Impairment {
    delay: us(500),
    jitter: jitter(us(9_500), us(49_500), ms(150)),
    loss: Loss::GilbertElliott { worsen: 0.006, recover: 0.35, bad: 0.5, good: 0.002 },
    rate: rate(10_000_000, ms(250)),
    ..PERFECT
};

const LTE_DOWN: Impairment = Impairment {
    delay: ms(28),
    jitter: jitter(ms(7), ms(20), ms(60)),
    loss: Loss::Bernoulli(0.001),
    rate: rate(13_000_000, ms(500)),
    interruption: Some(Interruption { every: ms(30_000), least: ms(30), most: ms(70), packets: Meanwhile::Held }),
    ..PERFECT
};

const UMTS_DOWN: Impairment = Impairment {
    delay: ms(60),
    jitter: jitter(ms(20), ms(80), ms(200)),
    loss: Loss::GilbertElliott { worsen: 0.002, recover: 0.3, bad: 0.5, good: 0.001 },
    rate: rate(1_000_000, ms(2_000)),
    ..PERFECT
};

const TRAIN_DOWN: Impairment = Impairment {
    delay: ms(40),
    jitter: jitter(ms(20), ms(100), ms(300)),
    loss: Loss::GilbertElliott { worsen: 0.008, recover: 0.2, bad: 0.6, good: 0.002 },
    rate: rate(5_000_000, ms(800)),
    interruption: Some(Interruption { every: ms(15_000), least: ms(200), most: ms(1_500), packets: Meanwhile::Lost }),
    ..PERFECT
};

const SATELLITE: Impairment = Impairment {
    delay: ms(284),
    jitter: jitter(ms(14), ms(40), ms(100)),
    loss: Loss::GilbertElliott { worsen: 0.001, recover: 0.2, bad: 0.5, good: 0.001 },
    rate: rate(20_000_000, ms(500)),
    ..PERFECT
};

const TRANSCONTINENTAL: Impairment = Impairment {
    delay: ms(75),
    jitter: Some(Jitter { median: us(500), ninetieth: ms(2), memory: Duration::ZERO, order: Order::Free }),
    loss: Loss::Bernoulli(0.000_5),
    duplicates: 0.000_1,
    ..PERFECT
};

const NARROW: Impairment = Impairment { delay: ms(20), rate: rate(100_000, ms(250)), ..PERFECT };

const CONTINENTAL: Impairment = Impairment { delay: ms(25), ..PERFECT };

/// All of them.
pub const PROFILES: [Profile; 12] = [
    Profile { name: "perfect", up: PERFECT, down: PERFECT, source: "a cable in a dream", chosen: "nothing is wrong" },
    Profile {
        name: "fibre",
        up: FIBRE,
        down: FIBRE,
        source: "FCC, Measuring Broadband America (fixed, eighth report), fibre at 75/75 Mb/s: 79.7 Mb/s, round trip 11.6 ms",
        chosen: "jitter and loss",
    },
    Profile {
        name: "wifi",
        up: WIFI,
        down: WIFI,
        source: "Sui et al., Characterizing and Improving WiFi Latency in Large-Scale Operational Networks, MobiSys 2016: \
                 the hop's round trip has a median of 3 ms, nine in ten are below 20 ms",
        chosen: "loss, rate and how fast latency changes",
    },
    Profile {
        name: "busy wifi",
        up: BUSY_WIFI,
        down: BUSY_WIFI,
        source: "Pei et al., WiFi Can Be the Weakest Link of Round Trip Network Latency in the Wild, INFOCOM 2016: \
                 half of the packets see more than 20 ms on the hop, one in ten more than 100 ms",
        chosen: "loss (1 % in short bursts), rate and how fast latency changes",
    },
    Profile {
        name: "lte",
        up: Impairment { rate: rate(6_000_000, ms(500)), ..LTE_DOWN },
        down: LTE_DOWN,
        source: "Huang et al., A Close Examination of Performance and Power Characteristics of 4G LTE Networks, MobiSys 2012: \
                 medians of 13 Mb/s down, 6 Mb/s up, round trip 70 ms; handover interruption of about 50 ms: 3GPP TR 36.881",
        chosen: "jitter, loss, queue and how often cells change",
    },
    Profile {
        name: "3g",
        up: Impairment { rate: rate(400_000, ms(2_000)), ..UMTS_DOWN },
        down: UMTS_DOWN,
        source: "Jiang et al., Tackling Bufferbloat in 3G/4G Networks, IMC 2012: queues that hold seconds",
        chosen: "delay, jitter, loss and rate, as of a loaded UMTS cell",
    },
    Profile {
        name: "train",
        up: Impairment { rate: rate(2_000_000, ms(800)), ..TRAIN_DOWN },
        down: TRAIN_DOWN,
        source: "Wang et al., An Active-Passive Measurement Study of TCP Performance over LTE on High-speed Rails, MobiCom 2019: \
                 LTE with frequent handovers that fail at times, more loss and more variable latency",
        chosen: "the figures: an interruption every quarter of a minute, 0.2 to 1.5 s long, in which packets are lost",
    },
    Profile {
        name: "satellite",
        up: Impairment { rate: rate(3_000_000, ms(500)), ..SATELLITE },
        down: SATELLITE,
        source: "Huston, Testing LEO and GEO satellite services in Australia, APNIC 2022: geostationary, 239 to 284 ms to the \
                 satellite and down, round trips of about 600 ms",
        chosen: "jitter, loss and rate",
    },
    Profile {
        name: "transcontinental",
        up: TRANSCONTINENTAL,
        down: PERFECT,
        source: "ITU-T G.114 annex A: 5 µs for each km of fibre; 15,000 km",
        chosen: "jitter with reordering, loss and duplicates; the way back to the device is the other side's profile",
    },
    Profile {
        name: "continental",
        up: CONTINENTAL,
        down: CONTINENTAL,
        source: "ITU-T G.114 annex A: 5 µs for each km of fibre; 5,000 km to an exchange, so that two such devices are 50 ms apart",
        chosen: "the distance; nothing else is wrong",
    },
    Profile {
        name: "narrow",
        up: NARROW,
        down: Impairment { rate: None, ..NARROW },
        source: "nobody's measurement: what one of seven has of a way out of 700 kb/s",
        chosen: "everything; too little for a voice at its full rate, and nothing else is wrong",
    },
    Profile {
        name: "very narrow",
        up: Impairment { rate: rate(60_000, ms(250)), ..NARROW },
        down: Impairment { rate: None, ..NARROW },
        source: "nobody's measurement: hardly enough for any voice, and what is around it",
        chosen: "everything; nothing else is wrong",
    },
];

/// The profile of that name.
pub fn named(name: &str) -> Option<&'static Profile> {
    PROFILES.iter().find(|profile| profile.name == name)
}
