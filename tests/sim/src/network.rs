//! The network between the machines of a world.
//!
//! Each machine has one address. A connection keeps its bytes in order; links have a latency, can be cut in one direction
//! or in both, and break connections at moments that leave the outcome of a call unknown. What a cut link holds back
//! arrives when it is mended, as with TCP's repetitions.

mod stream;

use std::{
    collections::BTreeMap,
    io,
    net::{IpAddr, Ipv4Addr, SocketAddr},
    sync::{Arc, Mutex, MutexGuard, Weak},
};

use async_trait::async_trait;
use env::{Connection, Listener, Network};
use tokio::sync::{Mutex as AsyncMutex, mpsc};

use self::stream::{End, Wire};
use crate::{life::Life, rng::Rng, time, trace::Trace};

/// How long a connection is tried when nobody answers.
const CONNECT_LIMIT_MS: u64 = 20_000;

/// A machine, by its number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub(crate) struct Machine(pub(crate) u8);

impl Machine {
    pub(crate) fn address(self) -> IpAddr {
        IpAddr::V4(Ipv4Addr::new(10, 0, 0, self.0))
    }

    fn of(address: SocketAddr) -> Self {
        match address.ip() {
            IpAddr::V4(address) => Self(address.octets()[3]),
            IpAddr::V6(_) => Self(0),
        }
    }
}

/// What links do to bytes.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Conduct {
    pub(crate) latency_ms: (u64, u64),
    /// Once in this many segments the link is slow, by up to a second.
    pub(crate) slow_once_in: u64,
    /// Once in this many segments the connection breaks when the segment has arrived, so that its sender cannot know.
    pub(crate) break_once_in: u64,
}

impl Conduct {
    /// A network without faults.
    pub(crate) const CALM: Self =
        Self { latency_ms: (1, 2), slow_once_in: u64::MAX, break_once_in: u64::MAX };
}

/// The network. Clones share it.
#[derive(Clone)]
pub(crate) struct Net {
    trace: Trace,
    state: Arc<Mutex<State>>,
}

struct State {
    rng: Rng,
    conduct: Conduct,
    /// Links that are cut, from one machine to another.
    cut: Vec<(Machine, Machine)>,
    listeners: BTreeMap<SocketAddr, Bound>,
    /// Machines without power.
    dark: Vec<Machine>,
    wires: Vec<Weak<Wire>>,
    ports: u16,
    connections: u64,
}

struct Bound {
    life: Arc<Life>,
    arrivals: mpsc::UnboundedSender<(End, SocketAddr)>,
}

impl Net {
    pub(crate) fn new(rng: Rng, trace: Trace) -> Self {
        let state = State {
            rng,
            conduct: Conduct::CALM,
            cut: Vec::new(),
            listeners: BTreeMap::new(),
            dark: Vec::new(),
            wires: Vec::new(),
            ports: 40_000,
            connections: 0,
        };
        Self { trace, state: Arc::new(Mutex::new(state)) }
    }

    /// The network as one life of a process on a machine has it.
    pub(crate) fn of(&self, machine: Machine, life: Arc<Life>) -> MachineNetwork {
        MachineNetwork { net: self.clone(), machine, life }
    }

    pub(crate) fn set_conduct(&self, conduct: Conduct) {
        self.state().conduct = conduct;
    }

    /// Cuts the link in this direction.
    pub(crate) fn cut(&self, from: Machine, to: Machine) {
        let mut state = self.state();
        if !state.cut.contains(&(from, to)) {
            state.cut.push((from, to));
        }
    }

    /// Mends the link in this direction: what waited goes on.
    pub(crate) fn mend(&self, from: Machine, to: Machine) {
        self.state().cut.retain(|cut| *cut != (from, to));
        self.wake_all();
    }

    /// Mends all links.
    pub(crate) fn mend_all(&self) {
        self.state().cut.clear();
        self.wake_all();
    }

    /// Takes or gives a machine's power, as far as the network is concerned.
    pub(crate) fn set_power(&self, machine: Machine, on: bool) {
        let mut state = self.state();
        state.dark.retain(|dark| *dark != machine);
        if !on {
            state.dark.push(machine);
        }
        drop(state);
        if on {
            // It knows nothing of the connections that it had.
            self.wires().iter().for_each(|wire| wire.forget(machine));
        }
    }

    /// Breaks about half of all connections.
    pub(crate) fn break_connections(&self) {
        for wire in self.wires() {
            let breaks = self.state().rng.once_in(2);
            if breaks {
                wire.reset();
            }
        }
    }

    fn wake_all(&self) {
        self.wires().iter().for_each(|wire| wire.wake());
    }

    fn wires(&self) -> Vec<Arc<Wire>> {
        let mut state = self.state();
        state.wires.retain(|wire| wire.strong_count() > 0);
        state.wires.iter().filter_map(Weak::upgrade).collect()
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().expect("nobody panics with it")
    }

    fn is_cut(&self, from: Machine, to: Machine) -> bool {
        self.state().cut.contains(&(from, to))
    }

    /// How long a segment takes now, and whether the connection breaks behind it.
    fn fate(&self) -> (u64, bool) {
        let mut state = self.state();
        let Conduct { latency_ms: (low, high), slow_once_in, break_once_in } = state.conduct;
        let mut latency = state.rng.between(low, high);
        if state.rng.once_in(slow_once_in) {
            latency += state.rng.below(1000);
        }
        (latency, state.rng.once_in(break_once_in))
    }

    /// One way, from one machine to another: waits while it is cut, then for the latency.
    async fn travel(&self, from: Machine, to: Machine) -> io::Result<()> {
        let mut left = CONNECT_LIMIT_MS;
        loop {
            let lost = {
                let state = self.state();
                state.cut.contains(&(from, to)) || state.dark.contains(&to)
            };
            if !lost {
                break;
            }
            if left == 0 {
                return Err(io::ErrorKind::TimedOut.into());
            }
            // A packet that is lost is sent again.
            time::sleep_ms(250).await;
            left -= 250;
        }
        let (latency, _) = self.fate();
        time::sleep_ms(latency).await;
        Ok(())
    }
}

/// The network as a process has it.
pub(crate) struct MachineNetwork {
    net: Net,
    machine: Machine,
    life: Arc<Life>,
}

impl MachineNetwork {
    fn check(&self) -> io::Result<()> {
        if self.life.is_alive() { Ok(()) } else { Err(io::Error::other("the process is dead")) }
    }

    /// A new connection, whose other end waits to be accepted; `None` when nobody listens.
    fn arrive(&self, to: SocketAddr) -> Option<(Arc<Wire>, SocketAddr)> {
        let mut state = self.net.state();
        let State { listeners, ports, connections, wires, .. } = &mut *state;
        let bound = listeners.get(&to).filter(|bound| bound.is_in_use())?;
        *ports = if *ports == u16::MAX { 40_000 } else { *ports + 1 };
        *connections += 1;
        let from = SocketAddr::new(self.machine.address(), *ports);
        let wire = Wire::new(*connections, self.machine, Machine::of(to));
        let end = End::new(self.net.clone(), wire.clone(), 1, bound.life.clone());
        bound.arrivals.send((end, from)).ok()?;
        wires.push(Arc::downgrade(&wire));
        Some((wire, from))
    }
}

#[async_trait]
impl Network for MachineNetwork {
    async fn listen(&self, address: SocketAddr) -> io::Result<Box<dyn Listener>> {
        self.check()?;
        let mut state = self.net.state();
        let taken = state.listeners.get(&address).is_some_and(|bound| bound.is_in_use());
        if taken || address.ip() != self.machine.address() || address.port() == 0 {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let (sender, arrivals) = mpsc::unbounded_channel();
        state.listeners.insert(address, Bound { life: self.life.clone(), arrivals: sender });
        Ok(Box::new(MachineListener { address, arrivals: AsyncMutex::new(arrivals) }))
    }

    async fn connect(&self, authority: &str) -> io::Result<Box<dyn Connection>> {
        self.check()?;
        let to: SocketAddr = authority.parse().map_err(|_| io::Error::from(io::ErrorKind::InvalidInput))?;
        let (here, there) = (self.machine, Machine::of(to));
        self.net.travel(here, there).await?;
        let Some((wire, from)) = self.arrive(to) else {
            self.net.travel(there, here).await?;
            return Err(io::ErrorKind::ConnectionRefused.into());
        };
        // The connecting end exists before the way back, so that giving up closes the connection.
        let end = End::new(self.net.clone(), wire.clone(), 0, self.life.clone());
        self.net.trace.event("connect", wire.name(), [u64::from(from.port()), u64::from(to.port()), 0]);
        self.net.travel(there, here).await?;
        Ok(Box::new(end))
    }
}

impl Bound {
    fn is_in_use(&self) -> bool {
        self.life.is_alive() && !self.arrivals.is_closed()
    }
}

struct MachineListener {
    address: SocketAddr,
    arrivals: AsyncMutex<mpsc::UnboundedReceiver<(End, SocketAddr)>>,
}

#[async_trait]
impl Listener for MachineListener {
    async fn accept(&self) -> io::Result<(Box<dyn Connection>, SocketAddr)> {
        let arrival = self.arrivals.lock().await.recv().await;
        let (end, peer) = arrival.ok_or_else(|| io::Error::other("the machine is gone"))?;
        Ok((Box::new(end), peer))
    }

    fn local_address(&self) -> io::Result<SocketAddr> {
        Ok(self.address)
    }
}
