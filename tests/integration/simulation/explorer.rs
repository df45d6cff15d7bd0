//! Every interleaving of a few invocations, their calls, and what others do: breadth first, so that
//! the first trace to each kind of harm is a shortest one.

use std::collections::{BTreeMap, HashSet, VecDeque};
use std::fmt::Write as _;
use std::hash::{BuildHasherDefault, Hash, Hasher};

use xxhash_rust::xxh3::xxh3_128;

use super::old_protocol::Machine;
use super::scenario::{Action, Harm, Scenario, Wrong};
use super::world::World;

/// What must not be, and whether it is documented.
pub type Kind = (Wrong, bool);

/// What exploring one scenario found.
#[derive(Debug, Default)]
pub struct Found {
    /// How many states there are.
    pub states: usize,
    /// For each kind of harm, whether documented or not, the smallest window and a trace to it.
    pub harms: BTreeMap<Kind, (u8, String)>,
}

/// Goes through all states of a scenario. Harm ends a path.
pub fn explore<M: Machine>(scenario: &Scenario) -> Found {
    let mut found = Found::default();
    let mut seen = Seen::default();
    // How each state was reached: the state before, and what happened.
    let mut ways: Vec<(u32, Action)> = Vec::new();
    let mut queue = VecDeque::new();
    let world = World::<M>::new(scenario);
    seen.insert(fingerprint(&world));
    ways.push((0, Action::GoOn));
    queue.push_back((0, world));
    let mut actions = Vec::new();
    while let Some((way, world)) = queue.pop_front() {
        world.actions(scenario, &mut actions);
        for action in &actions {
            let mut after = world.clone();
            match after.take(scenario, *action) {
                Ok(()) => {
                    if seen.insert(fingerprint(&after)) {
                        ways.push((way, *action));
                        queue.push_back((ways.len() as u32 - 1, after));
                    }
                }
                Err(harm) => {
                    let best = found.harms.get(&(harm.wrong, harm.is_documented));
                    if best.is_none_or(|(window, _)| harm.window < *window) {
                        let trace = trace::<M>(scenario, &ways, way, *action, &harm);
                        let kind = (harm.wrong, harm.is_documented);
                        found.harms.insert(kind, (harm.window, trace));
                    }
                }
            }
        }
    }
    found.states = seen.len();
    found
}

/// What happened, for people.
fn trace<M: Machine>(
    scenario: &Scenario,
    ways: &[(u32, Action)],
    mut way: u32,
    last: Action,
    harm: &Harm,
) -> String {
    let mut path = vec![last];
    while way != 0 {
        let (before, action) = ways[way as usize];
        path.push(action);
        way = before;
    }
    let mut text = format!("{scenario:?}\n");
    let mut world = World::<M>::new(scenario);
    for action in path.iter().rev() {
        let about = world.about(*action);
        let _ = writeln!(text, "  {action:?} {about}");
        if world.take(scenario, *action).is_err() {
            let _ = writeln!(text, "  => {harm:?}");
        }
    }
    text
}

type Seen = HashSet<u128, BuildHasherDefault<AsIs>>;

/// States are told apart by 128 bits: two of them would be taken for one by chance once in 10^25
/// explorations of ten million states.
fn fingerprint(state: &impl Hash) -> u128 {
    let mut bytes = Bytes(Vec::with_capacity(512));
    state.hash(&mut bytes);
    xxh3_128(&bytes.0)
}

/// Gathers what is hashed.
struct Bytes(Vec<u8>);

impl Hasher for Bytes {
    fn write(&mut self, bytes: &[u8]) {
        self.0.extend_from_slice(bytes);
    }

    // Numbers of variants and lengths are small.
    fn write_isize(&mut self, number: isize) {
        self.0.push(number as u8);
    }

    fn write_usize(&mut self, number: usize) {
        self.0.push(number as u8);
    }

    fn finish(&self) -> u64 {
        unreachable!("the bytes are what is wanted")
    }
}

/// What is hashed is a hash already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn write(&mut self, _: &[u8]) {
        unreachable!("only fingerprints are in the set")
    }

    fn write_u128(&mut self, number: u128) {
        self.0 = number as u64;
    }

    fn finish(&self) -> u64 {
        self.0
    }
}
