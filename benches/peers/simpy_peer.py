"""The same models in SimPy: a process for each server, asleep while there is nothing to do."""

import random
import sys
import time

import simpy

MODELS = {"mm1": (1.0, 0.8, 1, 1, 0.0), "mm10": (1.0, 8.0, 10, 1, 0.0), "tandem": (1.25, 0.8, 1, 5, 0.2)}


def main(name, requests):
    gap, service, servers, stations, again = MODELS[name]
    rng = random.Random(1)
    env = simpy.Environment()
    lines = [[] for _ in range(stations)]
    heads = [0] * stations
    asleep = [[] for _ in range(stations)]
    buckets, total, events, finished = {}, 0.0, 0, 0
    done = env.event()

    def enqueue(at, begun):
        nonlocal events
        events += 1
        lines[at].append(begun)
        if asleep[at]:
            asleep[at].pop().succeed()

    def serve(at):
        nonlocal events, finished, total
        while True:
            while heads[at] < len(lines[at]):
                begun = lines[at][heads[at]]
                heads[at] += 1
                if heads[at] > 10000:
                    del lines[at][: heads[at]]
                    heads[at] = 0
                yield env.timeout(rng.expovariate(1.0 / service))
                events += 1
                if at + 1 < stations:
                    enqueue(at + 1, begun)
                elif again and rng.random() < again:
                    enqueue(0, begun)
                else:
                    sojourn = env.now - begun
                    total += sojourn
                    bucket = int(sojourn * 100)
                    buckets[bucket] = buckets.get(bucket, 0) + 1
                    finished += 1
                    if finished == requests:
                        done.succeed()
            wake = env.event()
            asleep[at].append(wake)
            yield wake

    def arrivals():
        while True:
            yield env.timeout(rng.expovariate(1.0 / gap))
            enqueue(0, env.now)

    for at in range(stations):
        for _ in range(servers):
            env.process(serve(at))
    env.process(arrivals())
    start = time.process_time()
    env.run(until=done)
    spent = time.process_time() - start
    print(f'{{"events":{events},"cpu_s":{spent:.6f},"sojourn_mean_s":{total / finished:.4f}}}')


main(sys.argv[1], int(sys.argv[2]))
