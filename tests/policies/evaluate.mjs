// Puts simulations (a JSON array on stdin) through the offline IAM evaluator; answers an array.
// NODE_PATH does not reach ES modules: the evaluator's folder is the first argument.
import { createRequire } from 'node:module'
import { text } from 'node:stream/consumers'

const { runSimulation } = createRequire(process.argv[2] + '/')('@cloud-copilot/iam-simulate')

const answers = []
for (const simulation of JSON.parse(await text(process.stdin))) {
  const found = await runSimulation(simulation, { simulationMode: 'Strict' })
  answers.push({
    result: found.overallResult ?? 'error',
    ignored: found.result?.ignoredContextKeys ?? [],
    errors: found.errors ?? null,
  })
}
console.log(JSON.stringify(answers))
