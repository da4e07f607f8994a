//! How fast something gets done, and how long the rest will take.

use std::{
    collections::VecDeque,
    io::{IsTerminal, Write},
    time::Duration,
};

use env::Instant;

use super::table::bytes;

/// The last minutes, whose pace is told: that of long ago says nothing of work that has stopped.
const RECENT: Duration = Duration::from_secs(300);

/// No pace is told of less: what comes first is often quick.
const RECENT_MIN: Duration = Duration::from_secs(20);

/// How often a line of progress is written where no terminal shows the last one alone.
const LINE_PERIOD: Duration = Duration::from_secs(30);

/// What is left of a work, watched from some moment on. What is left may grow while it is watched.
#[derive(Debug, Default)]
pub(crate) struct Pace {
    most: u64,
    left: u64,
    /// What was seen to get done, which growth takes nothing from.
    done: u64,
    looks: VecDeque<(Instant, u64)>,
}

impl Pace {
    /// Takes a look in.
    pub(crate) fn look(&mut self, left: u64, now: Instant) {
        self.done += self.left.saturating_sub(left);
        self.most = self.most.max(left);
        self.left = left;
        self.looks.push_back((now, self.done));
        // The last look before the period stays.
        while self.looks.get(1).is_some_and(|(at, _)| now.since(*at) >= RECENT) {
            self.looks.pop_front();
        }
    }

    /// How much was done in a second, on the mean of the last minutes; `None` when nothing was, or they are too few to tell.
    fn per_second(&self) -> Option<f64> {
        let ((begun, before), (now, done)) = (self.looks.front()?, self.looks.back()?);
        let (done, elapsed) = (done - before, now.since(*begun));
        #[expect(clippy::cast_precision_loss, reason = "a mean to be shown")]
        (done > 0 && elapsed >= RECENT_MIN).then(|| done as f64 / elapsed.as_secs_f64())
    }

    /// The share that is done of what there was to do.
    pub(crate) fn share(&self) -> f64 {
        #[expect(clippy::cast_precision_loss, reason = "a share to be shown")]
        match self.most {
            0 => 1.0,
            most => (most - self.left) as f64 / most as f64,
        }
    }

    /// Such as `12 of 40 shards, 0.2/s, about 3 min left`.
    pub(crate) fn text(&self, what: &str) -> String {
        let (done, most) = (self.most - self.left, self.most);
        let counted = format!("{done} of {most} {what}");
        let per_second = self.per_second();
        #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is not negative")]
        #[expect(clippy::cast_precision_loss, reason = "an estimate")]
        let left = per_second.map(|rate| (self.left as f64 / rate).ceil() as u64);
        if self.left == 0 { counted } else { format!("{counted}, {}", rest(per_second, "", left)) }
    }
}

/// The rate at which something gets done and the time that the rest takes, where something is left.
pub(crate) fn rest(per_second: Option<f64>, unit: &str, seconds_left: Option<u64>) -> String {
    match (per_second, seconds_left) {
        (Some(rate), Some(seconds)) => {
            format!("{}, about {} left", rate_in_words(rate, unit), in_words(Duration::from_secs(seconds)))
        }
        _ => "time left unknown".to_owned(),
    }
}

/// Such as `1.5 MiB/s`, `0.2/s` or `40/h`.
pub(crate) fn rate_in_words(per_second: f64, unit: &str) -> String {
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is not negative")]
    if unit == "bytes" {
        format!("{}/s", bytes(per_second as u64))
    } else if per_second >= 0.1 {
        format!("{per_second:.1}/s")
    } else {
        format!("{:.0}/h", per_second * 3600.0)
    }
}

/// In the largest unit that leaves more than one.
pub(crate) fn in_words(time: Duration) -> String {
    match time.as_secs() {
        0..=99 => format!("{} s", time.as_secs().max(1)),
        100..=5_999 => format!("{} min", time.as_secs().div_ceil(60)),
        6_000..=172_799 => format!("{} h", time.as_secs().div_ceil(3_600)),
        _ => format!("{} days", time.as_secs().div_ceil(86_400)),
    }
}

/// Where progress is shown: one line that is written over on a terminal, and a line now and then elsewhere.
#[derive(Debug)]
pub(crate) struct Line {
    is_terminal: bool,
    told: Option<Instant>,
    is_open: bool,
}

impl Line {
    /// On the standard error output.
    pub(crate) fn new() -> Self {
        Self { is_terminal: std::io::stderr().is_terminal(), told: None, is_open: false }
    }

    /// How far it is, where the share is known: with a bar, on a terminal.
    pub(crate) fn show_share(&mut self, share: f64, text: &str, now: Instant) {
        if self.is_terminal {
            self.show(&format!("{}  {text}", bar(share)), now);
        } else {
            self.show(text, now);
        }
    }

    /// How far it is.
    pub(crate) fn show(&mut self, text: &str, now: Instant) {
        if self.is_terminal {
            write(&format!("\r\x1b[K{text}"));
            self.is_open = true;
        } else if self.told.is_none_or(|told| now.since(told) >= LINE_PERIOD) {
            write(&format!("{text}\n"));
            self.told = Some(now);
        }
    }

    /// Something else that is to stay.
    pub(crate) fn say(&mut self, text: &str) {
        let over = if self.is_terminal { "\r\x1b[K" } else { "" };
        write(&format!("{over}{text}\n"));
        self.is_open = false;
    }

    /// The last that was shown stays.
    pub(crate) fn end(&mut self) {
        if self.is_open {
            write("\n");
            self.is_open = false;
        }
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.end();
    }
}

/// Such as `[########------------]  40 %`.
fn bar(share: f64) -> String {
    const WIDTH: usize = 20;
    let share = share.clamp(0.0, 1.0);
    #[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "it is from 0 to 1")]
    let [filled, percent] = [WIDTH as f64, 100.0].map(|whole| (share * whole) as usize);
    format!("[{}{}] {percent:3} %", "#".repeat(filled), "-".repeat(WIDTH - filled))
}

/// Nobody may be reading.
fn write(text: &str) {
    let mut out = std::io::stderr().lock();
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use env::Instant;

    use super::{Pace, bar, rate_in_words, rest};

    #[test]
    fn a_bar_is_full_only_when_everything_is_done() {
        let mut pace = Pace::default();
        let mut shown = |left| {
            pace.look(left, Instant::from_start(Duration::from_secs(1)));
            bar(pace.share())
        };
        assert_eq!(shown(1000), "[--------------------]   0 %");
        assert_eq!(shown(600), "[########------------]  40 %");
        assert_eq!(shown(1), "[###################-]  99 %");
        assert_eq!(shown(0), "[####################] 100 %");
        assert_eq!(bar(Pace::default().share()), "[####################] 100 %", "there was nothing to do");
    }

    #[test]
    fn time_left_follows_the_pace_of_the_last_minutes() {
        let mut pace = Pace::default();
        let mut look = |left, seconds| {
            pace.look(left, Instant::from_start(Duration::from_secs(seconds)));
            pace.text("shards")
        };
        assert_eq!(look(100, 0), "0 of 100 shards, time left unknown");
        assert_eq!(look(80, 2), "20 of 100 shards, time left unknown", "too early to tell");
        assert_eq!(look(75, 25), "25 of 100 shards, 1.0/s, about 75 s left");
        assert_eq!(look(75, 50), "25 of 100 shards, 0.5/s, about 3 min left");
        assert_eq!(look(75, 400), "25 of 100 shards, time left unknown", "it has stopped");
        // More came, and what was done was done.
        assert_eq!(look(150, 410), "0 of 150 shards, time left unknown");
        assert_eq!(look(149, 450), "1 of 150 shards, 9/h, about 17 h left");
        assert_eq!(look(0, 460), "150 of 150 shards");
    }

    #[test]
    fn rates_are_told_in_units_that_fit() {
        assert_eq!(rate_in_words(1_572_864.0, "bytes"), "1.5 MiB/s");
        assert_eq!([0.1, 12.0, 0.01].map(|rate| rate_in_words(rate, "shards")), ["0.1/s", "12.0/s", "36/h"]);
        assert_eq!(rest(Some(2.0), "slots", Some(600)), "2.0/s, about 10 min left");
        assert_eq!(rest(None, "slots", None), "time left unknown");
    }
}
