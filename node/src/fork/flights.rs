//! One request for one thing: who asks for what is being fetched waits for it.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::{Condvar, Mutex};

use super::error::{Reason, RemoteError};

/// What is being fetched.
#[derive(Debug, Default)]
pub(super) struct Flights(Mutex<HashMap<Vec<u8>, Arc<Flight>>>);

#[derive(Debug, Default)]
struct Flight {
    outcome: Mutex<Option<Result<(), RemoteError>>>,
    landed: Condvar,
}

/// What a thread has to fetch, and what others are fetching for it.
#[derive(Debug)]
pub(super) struct Claim<'a> {
    flights: &'a Flights,
    /// Keys that nobody else is fetching.
    pub(super) own: Vec<Vec<u8>>,
    others: Vec<Arc<Flight>>,
}

impl Flights {
    /// Claims `keys`; those that somebody fetches already are waited for.
    pub(super) fn claim(&self, keys: Vec<Vec<u8>>) -> Claim<'_> {
        let mut claim = Claim { flights: self, own: Vec::new(), others: Vec::new() };
        let mut flights = self.0.lock();
        for key in keys {
            match flights.get(&key) {
                Some(flight) => claim.others.push(Arc::clone(flight)),
                None => {
                    flights.insert(key.clone(), Arc::default());
                    claim.own.push(key);
                }
            }
        }
        claim
    }

    fn land(&self, keys: &[Vec<u8>], outcome: &Result<(), RemoteError>) {
        let mut flights = self.0.lock();
        for flight in keys.iter().filter_map(|key| flights.remove(key)) {
            *flight.outcome.lock() = Some(outcome.clone());
            flight.landed.notify_all();
        }
    }
}

impl Claim<'_> {
    /// Tells those who wait what came of it.
    pub(super) fn land(&mut self, outcome: &Result<(), RemoteError>) {
        self.flights.land(&std::mem::take(&mut self.own), outcome);
    }

    /// Waits for what others fetch; their failure is this one's.
    pub(super) fn wait(&self) -> Result<(), RemoteError> {
        for flight in &self.others {
            let mut outcome = flight.outcome.lock();
            while outcome.is_none() {
                flight.landed.wait(&mut outcome);
            }
            if let Some(Err(error)) = &*outcome {
                return Err(error.clone());
            }
        }
        Ok(())
    }
}

impl Drop for Claim<'_> {
    fn drop(&mut self) {
        // A panic on the way: nobody may wait for ever.
        if !self.own.is_empty() {
            let (method, url) = Default::default();
            let reason = Box::new(Reason::GivenUp);
            self.land(&Err(RemoteError { method, url, attempts: 0, reason }));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_under_way_is_not_fetched_twice() {
        let flights = Flights::default();
        let key = |text: &str| text.as_bytes().to_vec();
        let mut first = flights.claim(vec![key("a"), key("b")]);
        let second = flights.claim(vec![key("b"), key("c")]);
        assert_eq!((first.own.len(), &second.own[..]), (2, &[key("c")][..]));
        std::thread::scope(|scope| {
            let waiter = scope.spawn(|| second.wait());
            first.land(&Ok(()));
            assert!(waiter.join().unwrap().is_ok());
        });
        assert_eq!(flights.claim(vec![key("a")]).own.len(), 1);
    }

    #[test]
    fn a_failure_is_everybodys() {
        let flights = Flights::default();
        let first = flights.claim(vec![vec![1]]);
        let second = flights.claim(vec![vec![1]]);
        drop(first);
        assert!(matches!(*second.wait().unwrap_err().reason, Reason::GivenUp));
        drop(second);
        assert_eq!(flights.claim(vec![vec![1]]).own.len(), 1);
    }
}
