"""The same models in Ciw, as its documentation writes them; sojourn times come from its records."""

import sys
import time

import ciw

MODELS = {"mm1": (1.0, 0.8, 1, 1, 0.0), "mm10": (1.0, 8.0, 10, 1, 0.0), "tandem": (1.25, 0.8, 1, 5, 0.2)}


def main(name, requests):
    gap, service, servers, stations, again = MODELS[name]
    routing = [[0.0] * stations for _ in range(stations)]
    for at in range(stations - 1):
        routing[at][at + 1] = 1.0
    routing[-1][0] = again
    network = ciw.create_network(
        arrival_distributions=[ciw.dists.Exponential(rate=1.0 / gap)] + [None] * (stations - 1),
        service_distributions=[ciw.dists.Exponential(rate=1.0 / service)] * stations,
        number_of_servers=[servers] * stations,
        routing=routing,
    )
    ciw.seed(1)
    simulation = ciw.Simulation(network)
    start = time.process_time()
    simulation.simulate_until_max_customers(requests, method="Finish")
    begun, ended, events = {}, {}, 0
    for record in simulation.get_all_records():
        events += 2
        who = record.id_number
        begun[who] = min(begun.get(who, record.arrival_date), record.arrival_date)
        ended[who] = max(ended.get(who, 0.0), record.exit_date)
    buckets, total = {}, 0.0
    for who, end in ended.items():
        sojourn = end - begun[who]
        total += sojourn
        bucket = int(sojourn * 100)
        buckets[bucket] = buckets.get(bucket, 0) + 1
    spent = time.process_time() - start
    print(f'{{"events":{events},"cpu_s":{spent:.6f},"sojourn_mean_s":{total / len(ended):.4f}}}')


main(sys.argv[1], int(sys.argv[2]))
