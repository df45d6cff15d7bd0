//! A service that refuses calls, and a client that keeps to the law, simulated call by call.

use std::cmp::Reverse;
use std::collections::{BinaryHeap, VecDeque};

use super::closings::Closings;

/// What changes with time, in seconds.
pub(super) type OverTime = fn(f64) -> f64;

/// Limits of several frontends.
pub(super) type Limits = &'static [OverTime];

/// A service that is closed, and refuses everything, for a part of every so many seconds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Closing {
    pub(super) every: f64,
    /// Share of that time that it is closed for.
    pub(super) share: f64,
    /// What it begins at, as a share of that time.
    pub(super) phase: f64,
}

impl Closing {
    fn is_closed(self, now: f64) -> bool {
        (now / self.every + self.phase) % 1.0 < self.share
    }
}

/// A service, and a client that always has another start to make. Times are in seconds.
#[derive(Clone, Copy)]
pub(super) struct World {
    /// Calls per second that each of its frontends lets through, of a token bucket. A call goes to
    /// any of them.
    pub(super) limits: Limits,
    /// Seconds' worth that a bucket holds.
    pub(super) burst: f64,
    /// Share of the calls that is refused whatever the rate.
    pub(super) deaf: OverTime,
    pub(super) closing: Option<Closing>,
    /// Calls per second of another client, which come at random.
    pub(super) rival: OverTime,
    /// Time from a call to its answer, on average.
    pub(super) latency: f64,
    /// Most starts in flight.
    pub(super) slots: usize,
    pub(super) seconds: f64,
    pub(super) seed: u64,
}

fn none(_: f64) -> f64 {
    0.0
}

/// How late a timer may wake, in seconds.
const LATE: f64 = 0.002;

/// Calls per second that a client's processor is good for.
const FASTEST: f64 = 30_000.0;

/// A bucket of 1,000 calls per second, nobody else, and a client near by.
pub(super) const PLAIN: World = World {
    limits: &[|_| 1_000.0],
    burst: 1.0,
    deaf: none,
    closing: None,
    rival: none,
    latency: 0.002,
    slots: 50,
    seconds: 30.0,
    seed: 1,
};

/// What came of a simulation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    pub(super) accepted: f64,
    pub(super) refused: f64,
    /// What the buckets let through or would have, less the rival's calls.
    pub(super) available: f64,
}

impl Counts {
    /// Share of the calls that was refused.
    pub(super) fn refused_share(&self) -> f64 {
        self.refused / (self.accepted + self.refused)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Then {
    /// A slot is done pausing, or free.
    Ready,
    Answer {
        sent: u64,
        through: bool,
        refusals: u32,
    },
    Rival,
}

/// What happens, at nanoseconds.
type Happenings = BinaryHeap<Reverse<(u64, Then, u32)>>;

fn nanoseconds(seconds: f64) -> u64 {
    (seconds * 1e9) as u64
}

fn seconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1e9
}

/// The service's buckets.
struct Service<'a> {
    world: &'a World,
    tokens: Vec<f64>,
    filled_until: f64,
    available: f64,
}

impl<'a> Service<'a> {
    fn new(world: &'a World) -> Self {
        let tokens: Vec<f64> = (world.limits.iter())
            .map(|limit| world.burst * limit(0.0))
            .collect();
        Service {
            world,
            available: tokens.iter().sum(),
            tokens,
            filled_until: 0.0,
        }
    }

    fn fill(&mut self, now: f64) {
        let elapsed = now - self.filled_until;
        self.filled_until = now;
        for (tokens, limit) in self.tokens.iter_mut().zip(self.world.limits) {
            let limit = limit(now);
            *tokens = (*tokens + limit * elapsed).min(self.world.burst * limit);
            self.available += limit * elapsed;
        }
        self.available -= (self.world.rival)(now) * elapsed;
    }

    fn lets_through(&mut self, now: f64, random: &mut fastrand::Rng) -> bool {
        self.fill(now);
        let is_closed = |closing: Closing| closing.is_closed(now);
        if self.world.closing.is_some_and(is_closed) || random.f64() < (self.world.deaf)(now) {
            return false;
        }
        let tokens = &mut self.tokens[random.usize(0..self.world.limits.len())];
        let through = *tokens >= 1.0;
        *tokens -= f64::from(u8::from(through));
        through
    }
}

/// Runs a world. A client that is not `slowed` makes each call at once, as far as its slots, its
/// processor and the pauses after refusals let it.
pub(super) fn simulate(world: &World, slowed: bool) -> Counts {
    let mut random = fastrand::Rng::with_seed(world.seed);
    let mut law = Closings::default();
    let mut service = Service::new(world);
    let mut happenings: Happenings = (0..world.slots)
        .map(|_| Reverse((0, Then::Ready, 0)))
        .collect();
    happenings.push(Reverse((0, Then::Rival, 0)));
    // Who waits for a permit, with how often it was refused. The first of them has its time.
    let mut queue = VecDeque::new();
    let mut due = None;
    let (mut next_call, mut next_free) = (0.0f64, 0.0f64);
    let (mut accepted, mut refused) = (0.0, 0.0);
    loop {
        let at = happenings
            .peek()
            .map_or(f64::INFINITY, |Reverse((at, ..))| seconds(*at));
        let now = due.map_or(at, |due: f64| due.min(at));
        if now >= world.seconds {
            break;
        }
        if due.is_some_and(|due| due <= at) {
            let refusals = queue.pop_front().expect("somebody waits");
            let through = service.lets_through(now, &mut random);
            let takes = world.latency * (0.5 + random.f64());
            let sent = nanoseconds(now);
            let answer = Then::Answer {
                sent,
                through,
                refusals,
            };
            happenings.push(Reverse((nanoseconds(now + takes), answer, 0)));
            next_free = now + 1.0 / FASTEST;
            due = None;
        } else if let Some(Reverse((_, then, refusals))) = happenings.pop() {
            match then {
                Then::Ready => queue.push_back(refusals),
                Then::Answer {
                    sent,
                    through: true,
                    ..
                } => {
                    accepted += 1.0;
                    law.answered(now, seconds(sent), true);
                    queue.push_back(0);
                }
                Then::Answer { sent, refusals, .. } => {
                    refused += 1.0;
                    law.answered(now, seconds(sent), false);
                    let pause = random.f64() * pause_after(refusals + 1);
                    happenings.push(Reverse((
                        nanoseconds(now + pause),
                        Then::Ready,
                        refusals + 1,
                    )));
                }
                Then::Rival => {
                    let rival = (world.rival)(now);
                    if rival > 0.0 {
                        service.lets_through(now, &mut random);
                    }
                    let pause = if rival > 0.0 {
                        -random.f64().ln() / rival
                    } else {
                        0.1
                    };
                    happenings.push(Reverse((nanoseconds(now + pause), Then::Rival, 0)));
                }
            }
        }
        if due.is_none() && !queue.is_empty() {
            let turn = match law.rate(now) {
                Some(rate) if slowed => {
                    let turn = next_call.max(now - LATE).max(law.last_cut());
                    next_call = turn + 1.0 / rate;
                    turn
                }
                _ => {
                    next_call = now;
                    now
                }
            };
            due = Some(turn.max(now).max(next_free));
        }
    }
    service.fill(world.seconds);
    Counts {
        accepted,
        refused,
        available: service.available,
    }
}

/// Longest pause of a start that was refused so often.
fn pause_after(refusals: u32) -> f64 {
    (0.001 * f64::from(1u32 << refusals.min(6))).min(0.05)
}
