//! Faults of a cluster of our own.

use std::{ops::RangeInclusive, time::Duration};

use crate::torture::{
    TortureError,
    chance::Chance,
    faults::{Fault, shell},
    local::{Cluster, LocalError, link::Mode, service::Service},
};

/// How long faults last, in milliseconds. Most pass before anything gives up waiting; a lease of five seconds, a
/// heartbeat or a call does not outlast the long ones.
const SHORT: RangeInclusive<u64> = 100..=1_500;
const LONG: RangeInclusive<u64> = 6_000..=8_000;
const LONG_PERCENT: u64 = 12;
/// Time for which a killed service stays away, in milliseconds.
const AWAY: RangeInclusive<u64> = 0..=400;
/// How often a service that starts is killed while it does.
const KILL_WHILE_STARTING_PERCENT: u64 = 25;
const DELAY: RangeInclusive<u64> = 2..=120;

impl Cluster {
    /// Makes one fault and undoes it; when this returns, everything runs again.
    pub(crate) async fn strike(&mut self, fault: Fault, chance: &mut Chance) -> Result<(), TortureError> {
        for service in &mut self.services {
            service.check()?;
        }
        match fault {
            Fault::Kill => self.kill(chance).await?,
            Fault::Stop => self.freeze(chance).await?,
            Fault::Partition => self.partition(chance).await,
            Fault::Delay => self.delay(chance).await,
            Fault::PowerCut => self.cut_power((0..self.layout.data.len()).collect(), true).await?,
            Fault::DiskCut => {
                let with_disks = self.services.iter().filter(|service| !service.disks.is_empty());
                let each: Vec<_> = with_disks.map(|service| service.disks.clone()).collect();
                let disks = chance.pick(&each).cloned();
                self.cut_power(disks.ok_or(LocalError::Impossible("no service has disks"))?, false).await?;
            }
            Fault::Command => return Err(LocalError::Impossible("commands are for other clusters").into()),
        }
        Ok(())
    }

    /// One service mostly, sometimes two of them or all.
    async fn kill(&mut self, chance: &mut Chance) -> Result<(), LocalError> {
        let count = chance.weighted(&[(70, 1), (20, 2), (10, usize::MAX)]).unwrap_or(1);
        let mut victims: Vec<usize> = (0..self.services.len()).collect();
        while victims.len() > count {
            victims.swap_remove(usize::try_from(chance.below(victims.len() as u64)).unwrap_or_default());
        }
        for index in &victims {
            let env = self.env.clone();
            self.numbered(*index)?.kill(&env).await?;
        }
        self.env.sleep(lasting(chance, &AWAY)).await;
        for index in &victims {
            self.numbered(*index)?.start()?;
            if chance.percent(KILL_WHILE_STARTING_PERCENT) {
                self.env.sleep(lasting(chance, &AWAY)).await;
                let env = self.env.clone();
                let service = self.numbered(*index)?;
                service.kill(&env).await?;
                service.start()?;
            }
        }
        self.wait_until_ready().await
    }

    async fn freeze(&mut self, chance: &mut Chance) -> Result<(), LocalError> {
        let index = usize::try_from(chance.below(self.services.len() as u64)).unwrap_or_default();
        let env = self.env.clone();
        self.numbered(index)?.freeze(&env).await?;
        env.sleep(hold(chance)).await;
        self.numbered(index)?.thaw(&env).await?;
        self.wait_until_ready().await
    }

    async fn partition(&mut self, chance: &mut Chance) {
        let mode = chance
            .weighted(&[
                (40, Mode::Hole { requests: true, answers: true }),
                (20, Mode::Hole { requests: true, answers: false }),
                (20, Mode::Hole { requests: false, answers: true }),
                (20, Mode::Broken),
            ])
            .unwrap_or(Mode::Broken);
        self.disturb(chance, mode).await;
    }

    async fn delay(&mut self, chance: &mut Chance) {
        let mode = Mode::Slow(lasting(chance, &DELAY));
        self.disturb(chance, mode).await;
    }

    /// Disturbs one link, or all links of one service.
    async fn disturb(&mut self, chance: &mut Chance, mode: Mode) {
        let Some(chosen) = chance.pick(&self.links) else { return };
        if chance.percent(50) {
            chosen.set(mode);
        } else {
            let name = if chosen.from == "all" { &chosen.to } else { &chosen.from };
            let of_it = self.links.iter().filter(|link| link.from == *name || link.to == *name);
            of_it.for_each(|link| link.set(mode));
        }
        self.env.sleep(hold(chance)).await;
        self.links.iter().for_each(|link| link.set(Mode::Open));
    }

    /// Cuts the power of these disks and of the services on them, or of all services.
    async fn cut_power(&mut self, disks: Vec<usize>, everything: bool) -> Result<(), TortureError> {
        let Some(power) = self.layout.power.clone() else {
            return Err(LocalError::Impossible("power cuts need commands that cut and restore").into());
        };
        let paths: Vec<String> = disks
            .iter()
            .filter_map(|disk| Some(self.layout.data.get(*disk)?.display().to_string()))
            .collect();
        let arguments: Vec<&str> = paths.iter().map(String::as_str).collect();
        let victims: Vec<usize> = (0..self.services.len())
            .filter(|index| {
                let has = |service: &Service| service.disks.iter().any(|disk| disks.contains(disk));
                everything || self.services.get(*index).is_some_and(has)
            })
            .collect();
        shell(&self.env, &power.cut, &arguments).await?;
        for index in &victims {
            // A service may have ended by itself when its disk did.
            let env = self.env.clone();
            self.numbered(*index)?.kill_or_bury(&env).await?;
        }
        shell(&self.env, &power.restore, &arguments).await?;
        for index in &victims {
            self.numbered(*index)?.start()?;
        }
        Ok(self.wait_until_ready().await?)
    }

    async fn wait_until_ready(&mut self) -> Result<(), LocalError> {
        for service in &mut self.services {
            service.wait_until_ready(&self.env).await?;
        }
        Ok(())
    }

    fn numbered(&mut self, index: usize) -> Result<&mut Service, LocalError> {
        self.services.get_mut(index).ok_or(LocalError::Impossible("there is no such service"))
    }
}

fn lasting(chance: &mut Chance, milliseconds: &RangeInclusive<u64>) -> Duration {
    Duration::from_millis(chance.between(*milliseconds.start(), *milliseconds.end()))
}

fn hold(chance: &mut Chance) -> Duration {
    let long = chance.percent(LONG_PERCENT);
    lasting(chance, if long { &LONG } else { &SHORT })
}
