//! A mount that hangs fails no call: nothing is heard of it, and everybody must be told.

use std::sync::Arc;
use std::time::Duration;

use tokio::time::{Instant, sleep};
use vcycle::model::Board;

use crate::support::mortal::{Fate, MortalFs};
use crate::support::run;
use crate::support::site::space;
use crate::{World, running, site};

fn view(world: &World, fate: &Arc<Fate>) -> Arc<MortalFs> {
    Arc::new(MortalFs::new(Arc::new(world.disk.clone()), fate.clone()))
}

fn is_silent(board: &Board) -> bool {
    board.store_problem.as_ref().is_some_and(|problem| problem.contains("no answer"))
}

#[test]
fn an_owner_whose_mount_hangs_says_so_is_followed_and_comes_back_by_itself() {
    run(async {
        let (world, fate) = (World::new(), Fate::kind());
        let mut one = world.start_on("one", site().setup(), view(&world, &fate)).await;
        one.until(|board| running(board, &space()) == 4).await;
        let mut two = world.start("two", site().setup()).await;
        two.until(|board| board.idle_spaces.contains_key(&space())).await;
        sleep(Duration::from_secs(60)).await;

        fate.stall();
        let stalled = Instant::now();
        one.until(is_silent).await;
        assert!(stalled.elapsed() < Duration::from_secs(15), "{:?}", stalled.elapsed());
        two.until(|board| running(board, &space()) == 4).await;
        assert!(stalled.elapsed() < Duration::from_secs(30), "{:?}", stalled.elapsed());
        one.until(|board| !board.spaces.contains_key(&space())).await;
        for _ in 0..60 {
            sleep(Duration::from_secs(10)).await;
            let board = one.board.borrow().clone();
            assert!(is_silent(&board) && !board.spaces.contains_key(&space()), "{board:?}");
        }
        assert_eq!(world.machines(&space()), 4);

        fate.go_on();
        let well = |board: &Board| {
            let idle = board.idle_spaces.get(&space());
            let others = idle.is_some_and(|why| why.starts_with(Board::OWNED_BY));
            board.store_problem.is_none() && (others || running(board, &space()) == 4)
        };
        one.until(well).await;
        assert_eq!(world.machines(&space()), 4);
        one.stop().await;
        two.stop().await;
    });
}

#[test]
fn a_manager_that_waits_for_a_space_says_that_its_mount_hangs() {
    run(async {
        let (world, fate) = (World::new(), Fate::kind());
        let mut one = world.start("one", site().setup()).await;
        one.until(|board| running(board, &space()) == 4).await;
        let mut two = world.start_on("two", site().setup(), view(&world, &fate)).await;
        two.until(|board| board.idle_spaces.contains_key(&space())).await;
        fate.stall();
        let stalled = Instant::now();
        two.until(is_silent).await;
        assert!(stalled.elapsed() < Duration::from_secs(15), "{:?}", stalled.elapsed());
        fate.go_on();
        two.until(|board| board.store_problem.is_none()).await;
        assert_eq!(world.machines(&space()), 4);
        one.stop().await;
        two.stop().await;
    });
}

#[test]
fn a_mount_that_answers_again_in_time_costs_no_ownership() {
    run(async {
        let (world, fate) = (World::new(), Fate::kind());
        let mut one = world.start_on("one", site().setup(), view(&world, &fate)).await;
        let board = one.until(|board| running(board, &space()) == 4).await;
        let generation = board.spaces[&space()].generation;
        fate.stall();
        one.until(is_silent).await;
        fate.go_on();
        let board = one.until(|board| board.store_problem.is_none()).await;
        assert_eq!(board.spaces[&space()].generation, generation);
        one.stop().await;
    });
}
