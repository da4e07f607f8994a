//! Workers against a whole cluster in memory: the metadata fake, chunk services that fail on demand, gateways that write
//! and read meanwhile. Time passes only when nothing else happens. Every scenario ends with an audit: every shard of
//! every manifest is whole and where it should be, and no disk has any other.

#[cfg(test)]
mod audit;
#[cfg(test)]
mod audits;
#[cfg(test)]
mod classes;
#[cfg(test)]
mod clock;
#[cfg(test)]
mod frozen;
#[cfg(test)]
mod gateway;
#[cfg(test)]
mod harness;
#[cfg(test)]
mod inventory;
#[cfg(test)]
mod leases;
#[cfg(test)]
mod lost;
#[cfg(test)]
mod moves;
#[cfg(test)]
mod node;
#[cfg(test)]
mod orphans;
#[cfg(test)]
mod queues;
#[cfg(test)]
mod recode;
#[cfg(test)]
mod transitions;
