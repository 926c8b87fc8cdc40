//! Blocks of uncompressed bytes that go round between the threads of an unpack.
//!
//! There is a fixed number of them: who inflates waits for an empty one, which is what bounds the memory of the whole
//! pipeline. A full one is read by several threads at once and goes back when the last of them lets go of it.

use std::io::{self, Read};
use std::ops::Deref;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, Sender, channel};

/// Bytes of one block: large enough that handing it over costs nothing beside filling it.
const BLOCK: usize = 256 << 10;
/// 8 MiB in all: how far inflating may run ahead of writing many small files.
const BLOCKS: usize = 32;

/// Uncompressed bytes, shared by whoever reads them.
#[derive(Clone, Debug)]
pub(crate) struct Block(Arc<Filled>);

#[derive(Debug)]
struct Filled {
    bytes: Vec<u8>,
    length: usize,
    home: Sender<Vec<u8>>,
}

impl Deref for Block {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.0.bytes[..self.0.length]
    }
}

impl Drop for Filled {
    fn drop(&mut self) {
        // Nobody waits for it any more when the pool is gone.
        let _ = self.home.send(std::mem::take(&mut self.bytes));
    }
}

/// Where empty blocks are.
#[derive(Debug)]
pub(crate) struct Pool {
    empty: Receiver<Vec<u8>>,
    home: Sender<Vec<u8>>,
    made: usize,
}

impl Pool {
    pub(crate) fn new() -> Self {
        let (home, empty) = channel();
        Self { empty, home, made: 0 }
    }

    /// A block filled from `source`, shorter than others only at its end; `None` at the end. Waits for an empty one.
    pub(crate) fn fill(&mut self, source: &mut dyn Read) -> io::Result<Option<Block>> {
        let mut bytes = self.take();
        let mut length = 0;
        while length < bytes.len() {
            match source.read(&mut bytes[length..]) {
                Ok(0) => break,
                Ok(read) => length += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        let block = Block(Arc::new(Filled { bytes, length, home: self.home.clone() }));
        Ok((length > 0).then_some(block))
    }

    /// Memory is taken only when it is needed: a small image never sees all blocks.
    fn take(&mut self) -> Vec<u8> {
        if let Ok(bytes) = self.empty.try_recv() {
            return bytes;
        }
        if self.made < BLOCKS {
            self.made += 1;
            return vec![0; BLOCK];
        }
        // The pool holds a sender itself, so this ends only with a block: every block comes home when it is dropped.
        self.empty.recv().unwrap_or_else(|_| vec![0; BLOCK])
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn blocks_come_back_and_are_used_again() {
        let mut pool = Pool::new();
        let mut source = io::repeat(7);
        for _ in 0..BLOCKS * 3 {
            let block = pool.fill(&mut source).unwrap().unwrap();
            let shared = block.clone();
            drop(block);
            assert!(shared.iter().all(|&byte| byte == 7) && shared.len() == BLOCK);
        }
        assert_eq!(pool.made, 1);
    }

    #[test]
    fn a_block_is_full_unless_the_source_ends() {
        let mut pool = Pool::new();
        let mut source = Read::take(io::repeat(1), BLOCK as u64 + 5);
        let lengths: Vec<usize> =
            std::iter::from_fn(|| pool.fill(&mut source).unwrap()).map(|block| block.len()).collect();
        assert_eq!(lengths, [BLOCK, 5]);
    }
}
