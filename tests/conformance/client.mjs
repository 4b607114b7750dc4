// Netlify's own API client, doing once what publishing does. Prints what every operation answered.
import { NetlifyAPI } from '@netlify/api'

const [host, token, ready, older, other] = process.argv.slice(2)
const api = new NetlifyAPI(token, { scheme: 'http', host, pathPrefix: '/api/v1' })
const site = { site_id: 'bench' }
const answers = {}
const call = async (operation, parameters) => {
  try {
    answers[operation] = await api[operation](parameters)
  } catch (error) {
    answers[operation] = { status: error.status, message: error.message }
  }
  return answers[operation]
}

await call('getCurrentUser')
await call('listAccountsForUser')
await call('listSites', { name: 'bench' })
await call('getSite', site)
await call('listSiteDeploys', { ...site, per_page: 2, page: 1, state: 'ready' })
await call('getDeploy', { deploy_id: ready })
await call('getSiteDeploy', { ...site, deploy_id: ready })
await call('restoreSiteDeploy', { ...site, deploy_id: older })
await call('lockDeploy', { deploy_id: older })
await call('unlockDeploy', { deploy_id: older })
await call('rollbackSiteDeploy', site)
const build = await call('createSiteBuild', { ...site, branch: 'slow', title: 'by the client' })
await call('getSiteBuild', { build_id: build.id })
await call('cancelSiteDeploy', { deploy_id: build.deploy_id })
await call('listSiteBuilds', site)
await call('deleteDeploy', { deploy_id: build.deploy_id })
await call('deleteSiteDeploy', { ...site, deploy_id: other })
await call('listSiteBuildHooks', site)
const hook = await call('createSiteBuildHook', { ...site, body: { title: 'mine', branch: 'live' } })
await call('getSiteBuildHook', { ...site, id: hook.id })
const body = { files: { 'a.txt': '86f7e437faa5a7fce15d1ddcb9eaeaea377667b8' }, branch: 'canary' }
const upload = await call('createSiteDeploy', { ...site, body: { branch: 'canary' } })
await call('updateSiteDeploy', { ...site, deploy_id: upload.id, body })
await call('uploadDeployFile', { deploy_id: upload.id, path: 'a.txt', body: 'a' })
answers.uploaded = await api.getDeploy({ deploy_id: upload.id })
await call('getEnvVars', { account_id: 'local' })
console.log(JSON.stringify(answers))
