//! The law in worlds of every latency, parallelism, limit, closing and share refused at random.

use super::simulation::{Closing, Limits, OverTime, PLAIN, World, simulate};

/// Buckets of half a second's worth, so that one does not make up for being closed.
const LIMITS: [Limits; 2] = [&[|_| 100.0], &[|_| 1_000.0]];
const BURST: f64 = 0.5;
const SLOTS: [usize; 3] = [8, 32, 256];

/// Of how many seconds which share it is closed, and which share is refused at random.
const REFUSALS: [(f64, f64, OverTime); 8] = [
    (0.1, 0.2, |_| 0.0),
    (0.1, 0.5, |_| 0.0),
    (0.5, 0.2, |_| 0.0),
    (0.5, 0.5, |_| 0.0),
    (1.0, 0.2, |_| 0.0),
    (1.0, 0.5, |_| 0.0),
    (1.0, 0.0, |_| 0.1),
    (1.0, 0.0, |_| 0.3),
];

/// Calls per second that tell in time what they are refused for.
const MANY_CALLS: f64 = 200.0;

/// The share that the law gets at least of what an ideal client has: what the limit, the slots and
/// the open time allow, and not more than a client without a pace gets with these pauses.
fn bar(calls: f64, latency: f64, at_random: f64) -> f64 {
    if calls < MANY_CALLS && at_random > 0.0 {
        // A few calls a second tell a tenth that is refused anyway from a bucket that is called a
        // little too fast only in many seconds, and to call a rival's bucket deaf is worse.
        0.15
    } else if calls < MANY_CALLS || latency > 0.1 {
        // So few calls are made, or heard of so late, while it is open, that closed times which are
        // short look like refusals at random.
        0.4
    } else {
        0.75
    }
}

fn hold(latency: f64) {
    let mut short = Vec::new();
    let mut random = fastrand::Rng::with_seed(7);
    for limits in LIMITS {
        for slots in SLOTS {
            for (every, share, deaf) in REFUSALS {
                let closing = Closing {
                    every,
                    share,
                    phase: random.f64(),
                };
                let world = World {
                    limits,
                    burst: BURST,
                    deaf,
                    closing: Some(closing),
                    latency,
                    slots,
                    ..PLAIN
                };
                let limit = limits[0](0.0);
                let calls = slots as f64 / latency * (1.0 - deaf(0.0));
                let mut ideal = limit.min(calls) * (1.0 - share) * world.seconds;
                if calls < 3.0 * limit {
                    ideal = ideal.min(simulate(&world, false).accepted);
                }
                let used = simulate(&world, true).accepted / ideal;
                if used < bar(limit.min(calls), latency, deaf(0.0)) {
                    let at_random = deaf(0.0);
                    short.push(format!(
                        "limit {limit}, {slots} slots, closed {share} of {every} s, {at_random} at random: {used:.3}"
                    ));
                }
            }
        }
    }
    assert!(short.is_empty(), "latency {latency}:\n{}", short.join("\n"));
}

#[test]
fn five_milliseconds() {
    hold(0.005);
}

#[test]
fn twenty_milliseconds() {
    hold(0.02);
}

#[test]
fn fifty_milliseconds() {
    hold(0.05);
}

#[test]
fn a_hundred_and_fifty_milliseconds() {
    hold(0.15);
}
