//! Launches that EC2 refuses, or accepts and then cannot carry out.

use vcycle_api::{Act, ErrorKind, InstanceState, LateRefusal, Market, Observe};
use vcycle_aws::testing::{On, Pool, Reason, Refusal, Site, SiteLimits, SiteType, Trouble};

use crate::common::Place;

/// The kind of the error that a launch gets when EC2 says this.
async fn kind_of(refusal: Refusal) -> ErrorKind {
    // With one market: a full one of several is parked, as `a_full_account_is_told_by_market` shows.
    let place =
        Place::with(Site::small(), |settings| settings.markets = vec![Market::OnDemand]).await;
    let request = place.request(1).await;
    place.fake.runs_short_after(Pool::all(), 0, Some(refusal));
    let error = place.provider.create(&request).await.unwrap_err();
    assert_eq!(place.fake.ledger().machines.len(), 0);
    assert!(error.request_id.is_some(), "{error}");
    error.kind
}

#[tokio::test]
async fn codes_say_what_a_refusal_means_whatever_its_status_is() {
    for (status, code) in [
        (500, "InsufficientInstanceCapacity"),
        (500, "InsufficientHostCapacity"),
        (500, "InsufficientCapacity"),
        (400, "InsufficientFreeAddressesInSubnet"),
        (500, "UnfulfillableCapacity"),
        (400, "Unsupported"),
    ] {
        let kind = kind_of(Refusal::new(status, code, "none")).await;
        assert!(matches!(kind, ErrorKind::InsufficientCapacity { .. }), "{code}: {kind:?}");
    }
    for code in ["VcpuLimitExceeded", "MaxSpotInstanceCountExceeded", "InstanceLimitExceeded"] {
        assert_eq!(kind_of(Refusal::new(400, code, "enough")).await, ErrorKind::QuotaExceeded);
    }
    let throttled = kind_of(Refusal::throttled()).await;
    assert!(matches!(throttled, ErrorKind::Throttled { after: _ }), "{throttled:?}");
    for refusal in [Refusal::expired(), Refusal::auth_failure()] {
        assert_eq!(kind_of(refusal).await, ErrorKind::AuthFailed);
    }
    let denied = Refusal::new(403, "UnauthorizedOperation", "You are not authorized");
    assert_eq!(kind_of(denied).await, ErrorKind::AuthFailed);
    for code in ["InvalidAMIID.NotFound", "InvalidSubnetID.NotFound", "InvalidParameterValue"] {
        assert_eq!(kind_of(Refusal::new(400, code, "no")).await, ErrorKind::InvalidSpec, "{code}");
    }
    // A code that nobody has heard of proves nothing when the status does not.
    assert_eq!(kind_of(Refusal::new(500, "NeverHeardOf", "?")).await, ErrorKind::Ambiguous);
}

#[tokio::test]
async fn a_stock_out_is_of_its_type_zone_and_market() {
    let place = Place::new(Site::small()).await;
    let offerings = place.provider.offerings().await.unwrap();
    assert_eq!(offerings.len(), 2 * 3 * 2, "types, zones, markets");
    let spot = place.spot_request(1).await;
    place.fake.runs_short(Pool::new("m5.large", "eu-west-2a", "spot"));
    let error = place.provider.create(&spot).await.unwrap_err();
    let wanted = ErrorKind::InsufficientCapacity { offering: spot.offering.id.clone() };
    assert_eq!(error.kind, wanted);
    for (number, flavour, zone, market) in [
        (2, "m5.large", "eu-west-2a", Market::OnDemand),
        (3, "m5.large", "eu-west-2b", Market::Preemptible),
        (4, "c5.4xlarge", "eu-west-2a", Market::Preemptible),
    ] {
        let offering = place.offering(flavour, zone, market).await;
        let request = crate::common::request_of(number, offering);
        place.provider.create(&request).await.unwrap();
        let made = place.fake.machines().pop().unwrap();
        assert_eq!((made.flavour.as_str(), made.zone.as_str()), (flavour, zone));
        assert_eq!(made.spot, market == Market::Preemptible);
    }
}

#[tokio::test]
async fn only_what_is_sold_is_offered() {
    let mut site = Site::small();
    let mut rare = SiteType::new("c5.4xlarge", 16, 32);
    (rare.spot, rare.zones) = (false, vec!["eu-west-2b".to_owned()]);
    site.types.retain(|kind| kind.name != rare.name);
    site.types.push(rare);
    let place = Place::new(site).await;
    let offerings = place.provider.offerings().await.unwrap();
    let of_it = offerings.iter().filter(|offering| offering.id.flavour == "c5.4xlarge");
    let of_it: Vec<_> = of_it.map(|one| (one.id.zone.as_str(), one.id.market)).collect();
    assert_eq!(of_it, [("eu-west-2b", Market::OnDemand)]);
}

#[tokio::test]
async fn a_full_account_is_told_by_market() {
    let place = Place::new(Site::small()).await;
    place.fake.set_limits(SiteLimits { on_demand: 0, spot: 2 });
    let (on_demand, spot) = (place.request(1).await, place.spot_request(2).await);
    place.provider.create(&spot).await.unwrap();
    let error = place.provider.create(&on_demand).await.unwrap_err();
    let wanted = [
        ErrorKind::QuotaExceeded,
        // With both markets configured, one that is full is parked like one that is out of stock.
        ErrorKind::InsufficientCapacity { offering: on_demand.offering.id.clone() },
    ];
    assert!(wanted.contains(&error.kind), "{error}");
    assert_eq!(place.fake.ledger().machines.len(), 1);
}

#[tokio::test]
async fn a_launch_that_fails_after_it_was_accepted_is_failed_and_says_why() {
    for (reason, wanted) in [
        (Reason::no_capacity(), Some(LateRefusal::InsufficientCapacity)),
        (Reason::volume_limit(), Some(LateRefusal::QuotaExceeded)),
        (Reason::client_error(), None),
        (Reason::internal(), None),
    ] {
        let place = Place::new(Site::small()).await;
        let request = place.request(1).await;
        place.fake.fail_next_launches(1, &reason);
        let id = place.provider.create(&request).await.unwrap().id().clone();
        place.pass(60);
        let listed = place.listed().await.unwrap();
        let shown = listed.iter().find(|instance| instance.id == id).unwrap();
        let InstanceState::Failed { refusal, fault } = &shown.state else {
            panic!("{}: {:?}", reason.code, shown.state);
        };
        assert!(fault.contains(&reason.code), "{fault}");
        assert_eq!(*refusal, wanted, "{fault}");
        assert!(shown.ended.is_some() && shown.started.is_none());
        // It is not there any more: to ask for its end is harmless.
        place.provider.delete(&id).await.unwrap();
    }
}

#[tokio::test]
async fn a_dead_image_is_a_mistake_of_the_machinetype() {
    let place = Place::with(Site::small(), |_| {}).await;
    let mut request = place.request(1).await;
    place.provider.create(&request).await.unwrap();
    place.fake.deregister_image("ami-0aaaaaaaaaaaaaaa2");
    request = place.request(2).await;
    let error = place.provider.create(&request).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidSpec, "{error}");
    request.image = Some("ami-0123456789abcdef0".to_owned());
    let error = place.provider.create(&request).await.unwrap_err();
    assert_eq!(error.kind, ErrorKind::InvalidSpec, "{error}");
}

#[tokio::test]
async fn the_newest_image_of_a_name_is_taken() {
    let place = Place::new(Site::small()).await;
    let mut request = place.request(1).await;
    request.image = Some("worker-*".to_owned());
    place.provider.create(&request).await.unwrap();
    assert_eq!(place.fake.machines().pop().unwrap().image, "ami-0aaaaaaaaaaaaaaa2");
}

#[tokio::test]
async fn a_throttle_storm_makes_nothing_and_is_not_repeated_by_the_provider() {
    let place = Place::new(Site::small()).await;
    let request = place.request(1).await;
    let before = place.fake.requests();
    place.fake.befall(On::Action("RunInstances"), 1, Trouble::Refuse(Refusal::throttled()));
    let error = place.provider.create(&request).await.unwrap_err();
    assert!(matches!(error.kind, ErrorKind::Throttled { after: _ }), "{error}");
    let ledger = place.fake.ledger();
    let launches = ledger.calls[before..].iter().filter(|call| call.action == "RunInstances");
    assert_eq!((launches.count(), ledger.machines.len()), (1, 0));
}
