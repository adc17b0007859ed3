//! What the host calls.

use crate::{host, log, Exchange, Filter, Level, Verdict};
use std::cell::RefCell;
use std::rc::Rc;

/// A module's filter and the exchanges that are between their request and their response.
pub struct Guest<F> {
    filter: RefCell<Option<Rc<F>>>,
    /// The host hands the index, and one, from the request to the response. Free places
    /// are `None`.
    held: RefCell<Vec<Option<Exchange>>>,
}

// A module has one thread.
unsafe impl<F> Sync for Guest<F> {}

impl<F: Filter> Guest<F> {
    #[allow(clippy::new_without_default)]
    pub const fn new() -> Guest<F> {
        Guest { filter: RefCell::new(None), held: RefCell::new(Vec::new()) }
    }

    pub fn initialize(&self) {
        std::panic::set_hook(Box::new(|info| log(Level::Error, &info.to_string())));
        if F::FEATURES.0 != 0 {
            unsafe { host::enable_features(F::FEATURES.0) };
        }
        let config = host::read(|buf, limit| unsafe { host::get_config(buf, limit) });
        match F::configure(&config) {
            Ok(filter) => *self.filter.borrow_mut() = Some(Rc::new(filter)),
            Err(e) => {
                // A panic would say where it is, too, which is of no interest.
                log(Level::Error, &format!("configuration: {}", e));
                host::trap()
            }
        }
    }

    fn filter(&self) -> Rc<F> {
        match &*self.filter.borrow() {
            Some(filter) => filter.clone(),
            None => host::trap(), // _initialize was not called
        }
    }

    pub fn handle_request(&self) -> u64 {
        let mut x = Exchange::new();
        if self.filter().request(&mut x) == Verdict::Stop {
            return 0;
        }
        let mut held = self.held.borrow_mut();
        let at = match held.iter().position(Option::is_none) {
            Some(free) => free,
            None => {
                held.push(None);
                held.len() - 1
            }
        };
        held[at] = Some(x);
        (at as u64 + 1) << 32 | 1
    }

    pub fn handle_response(&self, context: u32, failed: bool) {
        let held = match context.checked_sub(1) {
            Some(at) => self.held.borrow_mut().get_mut(at as usize).and_then(Option::take),
            None => None,
        };
        if let Some(mut x) = held {
            x.failed = failed;
            self.filter().response(&mut x);
        }
    }
}
