from mailfront.channels.channel import Channel, Demand, Exchangers


def test_a_demand_is_the_beginning_of_its_keywords() -> None:
    assert [f"{demand.value}tls" for demand in Demand] == ["notls", "maytls", "musttls"]
    assert [each.value for each in Exchangers] == ["mx", "randommx", "nomx"]


def test_a_channel_asks_for_nothing_unless_told() -> None:
    channel = Channel("tcp_local", "tcp-daemon", 1)
    assert channel.tls_client is channel.sasl_server is Demand.NEVER
    assert not channel.submission
    assert not channel.switches
