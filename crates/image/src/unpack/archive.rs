//! One layer's uncompressed bytes as a reader, as its blocks arrive from the inflating thread.

use std::io::{self, BufRead, Read};
use std::sync::Arc;
use std::sync::mpsc::Receiver;

use super::block::Block;
use super::pipeline::{Failure, Incoming, Piece};
use crate::stop::Stop;

/// Reads layer after layer; each ends where it ends.
pub(super) struct Archive<'a> {
    pieces: Receiver<Piece>,
    stop: &'a Stop,
    block: Option<Block>,
    /// Bytes of `block` that were read already.
    read: usize,
    phase: Phase,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Phase {
    Reading,
    Ended,
    /// The other thread ended before the layer did, or this one is to.
    Cut,
}

impl<'a> Archive<'a> {
    pub(super) fn new(pieces: Receiver<Piece>, stop: &'a Stop) -> Self {
        Self { pieces, stop, block: None, read: 0, phase: Phase::Ended }
    }

    /// Waits for the next layer.
    pub(super) fn begin(&mut self) -> Result<Arc<Incoming>, Failure> {
        match self.pieces.recv() {
            Ok(Piece::Begin(layer)) => {
                self.phase = Phase::Reading;
                Ok(layer)
            }
            _ => Err(Failure::Cut),
        }
    }

    /// Reads what is left of the layer.
    pub(super) fn skip_to_end(&mut self) -> Result<(), Failure> {
        while self.phase == Phase::Reading {
            self.advance();
        }
        self.block = None;
        if self.was_cut() { Err(Failure::Cut) } else { Ok(()) }
    }

    /// Whether reading failed for a reason that is not the layer's.
    pub(super) fn was_cut(&self) -> bool {
        self.phase == Phase::Cut
    }

    /// Takes the next block, or notes why there is none.
    fn advance(&mut self) {
        self.block = None;
        self.read = 0;
        if self.stop.is_set() {
            self.phase = Phase::Cut;
            return;
        }
        match self.pieces.recv() {
            Ok(Piece::Bytes(block)) => self.block = Some(block),
            Ok(Piece::End) => self.phase = Phase::Ended,
            Ok(Piece::Begin(_)) | Err(_) => self.phase = Phase::Cut,
        }
    }

    fn is_read(&self) -> bool {
        self.block.as_ref().is_none_or(|block| self.read == block.len())
    }
}

impl BufRead for Archive<'_> {
    fn fill_buf(&mut self) -> io::Result<&[u8]> {
        while self.phase == Phase::Reading && self.is_read() {
            self.advance();
        }
        match self.phase {
            Phase::Cut => Err(io::Error::new(io::ErrorKind::ConnectionAborted, "unpacking was stopped")),
            Phase::Reading | Phase::Ended => Ok(self.block.as_ref().map_or(&[], |block| &block[self.read..])),
        }
    }

    fn consume(&mut self, count: usize) {
        self.read += count;
    }
}

impl Read for Archive<'_> {
    fn read(&mut self, mut buffer: &mut [u8]) -> io::Result<usize> {
        let count = io::Write::write(&mut buffer, self.fill_buf()?)?;
        self.consume(count);
        Ok(count)
    }
}
