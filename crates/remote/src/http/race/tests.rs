//! Rows H22: dead, refusing and silent addresses, under paused time.

use std::collections::HashMap;
use std::sync::Mutex;
use std::time::Duration;

use async_trait::async_trait;
use tokio::time::Instant;

use super::*;

/// What an address does when it is dialled.
#[derive(Clone, Copy, Debug)]
enum Does {
    Answer(Duration),
    Refuse,
    KeepSilent,
}

#[derive(Debug)]
struct Net {
    started: Instant,
    does: HashMap<SocketAddr, Does>,
    /// Who was dialled, and how many milliseconds after the start.
    dialled: Mutex<Vec<(SocketAddr, u128)>>,
}

impl Net {
    fn new(does: &[(&str, Does)]) -> (Self, Vec<SocketAddr>) {
        let order: Vec<SocketAddr> = does.iter().map(|(address, _)| at(address)).collect();
        let does = order.iter().copied().zip(does.iter().map(|(_, does)| *does)).collect();
        (Self { started: Instant::now(), does, dialled: Mutex::default() }, order)
    }

    fn dialled(&self) -> Vec<(SocketAddr, u128)> {
        self.dialled.lock().unwrap().clone()
    }
}

#[async_trait]
impl Dial for Net {
    async fn dial(&self, to: SocketAddr) -> io::Result<Box<dyn Connection>> {
        self.dialled.lock().unwrap().push((to, self.started.elapsed().as_millis()));
        match self.does[&to] {
            Does::Answer(after) => {
                tokio::time::sleep(after).await;
                Ok(Box::new(tokio::io::duplex(1).0))
            }
            Does::Refuse => Err(io::ErrorKind::ConnectionRefused.into()),
            Does::KeepSilent => std::future::pending().await,
        }
    }
}

fn at(address: &str) -> SocketAddr {
    SocketAddr::new(address.parse().unwrap(), 443)
}

const NOW: Does = Does::Answer(Duration::ZERO);

#[tokio::test(start_paused = true)]
async fn an_ipv6_black_hole_costs_one_head_start() {
    let (net, order) =
        Net::new(&[("2001:db8::1", Does::KeepSilent), ("2001:db8::2", Does::KeepSilent), ("192.0.2.1", NOW)]);
    let (peer, _connection) = race(&net, order).await.unwrap();
    assert_eq!(peer, at("192.0.2.1"));
    assert_eq!(net.dialled(), [(at("2001:db8::1"), 0), (at("192.0.2.1"), 250)]);
    assert_eq!(net.started.elapsed(), HEAD_START);
}

#[tokio::test(start_paused = true)]
async fn an_address_that_refuses_costs_nothing_and_one_that_answers_late_is_waited_for() {
    let (net, order) = Net::new(&[
        ("192.0.2.1", Does::Refuse),
        ("192.0.2.2", Does::Answer(Duration::from_secs(3))),
        ("192.0.2.3", Does::KeepSilent),
        ("192.0.2.4", Does::Refuse),
    ]);
    let (peer, _connection) = race(&net, order).await.unwrap();
    assert_eq!(peer, at("192.0.2.2"));
    let expected = [("192.0.2.1", 0), ("192.0.2.2", 0), ("192.0.2.3", 250), ("192.0.2.4", 500)];
    assert_eq!(net.dialled(), expected.map(|(address, millis)| (at(address), millis)));
    assert_eq!(net.started.elapsed(), Duration::from_secs(3));
}

#[tokio::test(start_paused = true)]
async fn who_answers_first_is_taken_and_nobody_else_is_dialled() {
    let (net, order) = Net::new(&[("192.0.2.1", Does::Answer(Duration::from_millis(200))), ("2001:db8::1", NOW)]);
    assert_eq!(race(&net, order).await.unwrap().0, at("192.0.2.1"));
    assert_eq!(net.dialled(), [(at("192.0.2.1"), 0)]);
}

#[tokio::test(start_paused = true)]
async fn where_all_fail_each_is_told() {
    let (net, order) = Net::new(&[("192.0.2.1", Does::Refuse), ("2001:db8::1", Does::Refuse)]);
    let error = race(&net, order).await.err().unwrap();
    assert!(error.is_refused());
    assert_eq!(error.to_string(), "192.0.2.1:443: connection refused; [2001:db8::1]:443: connection refused");
    let many: Vec<_> = (0..7).map(|last| (at(&format!("192.0.2.{last}")), io::ErrorKind::TimedOut.into())).collect();
    let many = Unreachable(many);
    assert!(many.is_timeout() && !many.is_refused());
    assert!(many.to_string().ends_with("192.0.2.3:443: timed out; and 3 more"), "{many}");
}

#[test]
fn families_take_turns_in_the_resolvers_order() {
    let order: Vec<_> = ["::1", "::2", "::3", "192.0.2.1", "192.0.2.2"].iter().map(|address| at(address)).collect();
    let turns = by_turns(order.clone());
    assert_eq!(turns, [order[0], order[3], order[1], order[4], order[2]]);
    assert_eq!(by_turns(order.into_iter().rev().collect())[..2], [turns[3], turns[4]]);
}
