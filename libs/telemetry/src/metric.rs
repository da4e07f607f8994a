//! What a metric is called and means.

/// How a metric behaves.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// It only grows, until the process ends.
    Counter,
    /// It goes up and down.
    Gauge,
    /// It counts values by their size.
    Histogram,
}

impl Kind {
    /// Prometheus's name of it.
    pub fn name(self) -> &'static str {
        match self {
            Self::Counter => "counter",
            Self::Gauge => "gauge",
            Self::Histogram => "histogram",
        }
    }
}

/// A metric: a name under which series are told, one for each combination of its labels' values.
///
/// Labels' values are of a set that the program or its operator bounds. None comes from clients.
#[derive(Debug, PartialEq, Eq)]
pub struct Metric {
    /// Its name, which ends in its unit, or in `_total` if it only grows.
    pub name: &'static str,
    /// How it behaves.
    pub kind: Kind,
    /// Names of its labels.
    pub labels: &'static [&'static str],
    /// What it means, in one or a few sentences.
    pub help: &'static str,
}

impl Metric {
    /// A number that only grows.
    pub const fn counter(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: Kind::Counter, labels, help }
    }

    /// A number that goes up and down.
    pub const fn gauge(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: Kind::Gauge, labels, help }
    }

    /// Values by their size.
    pub const fn histogram(name: &'static str, labels: &'static [&'static str], help: &'static str) -> Self {
        Self { name, kind: Kind::Histogram, labels, help }
    }

    /// The unit that its name ends in, if it has one.
    pub fn unit(&self) -> Option<&'static str> {
        let name = self.name.strip_suffix("_total").unwrap_or(self.name);
        ["seconds", "bytes", "ratio"]
            .into_iter()
            .find(|unit| name.strip_suffix(unit).is_some_and(|rest| rest.ends_with('_')))
    }
}

/// Declares metrics as statics, and `METRICS`, the list of them all.
#[macro_export]
macro_rules! metrics {
    ($($name:ident: $kind:ident($text:literal, [$($label:literal),*], $help:literal);)*) => {
        $(static $name: $crate::Metric = $crate::Metric::$kind($text, &[$($label),*], $help);)*

        /// Every metric that is told of here.
        pub const METRICS: &[&$crate::Metric] = &[$(&$name),*];
    };
}
