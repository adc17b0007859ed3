//! Counters, gauges and histograms, which `/metrics` shows as `sluice_guest_NAME`. sluice.yaml
//! grants them with `allow: { metrics: yes }`. A metric is defined once, in
//! [`Filter::configure`](crate::Filter::configure), and kept.

use crate::host;
use crate::proxy::{check, Error};

fn define(kind: u32, name: &str, labels: &[(&str, &str)]) -> Result<i32, Error> {
    let labels = host::pairs(labels);
    check(unsafe { host::metric_define(kind, name.as_ptr(), name.len(), labels.as_ptr(), labels.len()) })
}

/// A number that grows.
#[derive(Clone, Copy, Debug)]
pub struct Counter(i32);

impl Counter {
    /// Defines a counter, whose name ends with `_total`.
    pub fn define(name: &str, labels: &[(&str, &str)]) -> Result<Counter, Error> {
        define(0, name, labels).map(Counter)
    }

    pub fn add(self, n: u32) -> Result<(), Error> {
        check(unsafe { host::metric_add(self.0, n.into()) }).map(drop)
    }
}

/// A number that goes up and down.
#[derive(Clone, Copy, Debug)]
pub struct Gauge(i32);

impl Gauge {
    pub fn define(name: &str, labels: &[(&str, &str)]) -> Result<Gauge, Error> {
        define(1, name, labels).map(Gauge)
    }

    pub fn add(self, delta: i64) -> Result<(), Error> {
        check(unsafe { host::metric_add(self.0, delta) }).map(drop)
    }

    pub fn set(self, value: i64) -> Result<(), Error> {
        check(unsafe { host::metric_record(self.0, value) }).map(drop)
    }
}

/// How many values there were up to 1, 2, 4, ... 2^30.
#[derive(Clone, Copy, Debug)]
pub struct Histogram(i32);

impl Histogram {
    pub fn define(name: &str, labels: &[(&str, &str)]) -> Result<Histogram, Error> {
        define(2, name, labels).map(Histogram)
    }

    pub fn record(self, value: i64) -> Result<(), Error> {
        check(unsafe { host::metric_record(self.0, value) }).map(drop)
    }
}
